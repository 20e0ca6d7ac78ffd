import { createDiskStore } from '../src/index.ts';

/** A process that a test kills during a put. It prints `writing` when bytes are on the disk, and never ends. */
const [directory = '', key = ''] = process.argv.slice(2);

async function* endless() {
  const chunk = Buffer.alloc(1024 * 1024, 'x');
  yield chunk;
  yield chunk;
  console.log('writing');
  await new Promise((resolve) => setTimeout(resolve, 2 ** 31 - 1));
}

await createDiskStore({ directory }).put(key, endless());
