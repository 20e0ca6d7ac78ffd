/** A worker that takes a job of the queue `argv[4]`, says so, and never ends it. */
import { connectRedis, createKeys, openWorker } from '../src/index.ts';

const [url = '', prefix = '', name = ''] = process.argv.slice(2);
const onError = (error: Error): void => console.error(error);

openWorker(
  async ({ id }) => {
    process.stdout.write(`${id}\n`);
    await new Promise(() => {});
  },
  {
    connection: connectRedis({ url, whileAway: 'wait', onError }),
    keys: createKeys(prefix),
    name,
    concurrency: 1,
    onError,
  },
);
