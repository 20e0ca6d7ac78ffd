/** A process to kill: `node embedded-redis-process.ts <data folder>` starts a Redis and prints its URL and id. */
import { createLogger, startEmbeddedRedis } from '../src/index.ts';

const logger = createLogger({ level: 'silent', role: 'test' });
const { url, pid } = await startEmbeddedRedis({ dataDirectory: process.argv[2] ?? '', maxmemory: '1gb', logger });
console.log(JSON.stringify({ url, pid }));
setInterval(() => {}, 1000);
