/**
 * Measures the memory that a large file takes while it is written to an S3 store and read back:
 *   node --max-old-space-size=64 packages/files/bench/s3-memory.ts [MiB, default 512]
 * TEST_S3_ENDPOINT and TEST_S3_BUCKET name a server other than the tests' own.
 */
import { openS3Server } from '../../../tests/support/s3-server.ts';
import { createS3Store } from '../src/s3-store.ts';

const mebibyte = 2 ** 20;
const sizeMiB = Number(process.argv[2] ?? 512);
const server = await openS3Server();
Object.assign(process.env, server.credentials);
const store = createS3Store({ ...server, prefix: 'bench/', region: 'us-east-1', forcePathStyle: true });
await store.put('warm-up', 'x');

const startRss = process.memoryUsage.rss();
let peakRss = startRss;
const sample = (): void => {
  peakRss = Math.max(peakRss, process.memoryUsage.rss());
};
async function* source() {
  for (let index = 0; index < sizeMiB * 16; index += 1) {
    yield Buffer.alloc(mebibyte / 16, index);
    sample();
  }
}
const measure = async (what: string, work: () => Promise<number>): Promise<void> => {
  peakRss = process.memoryUsage.rss();
  const startedAt = performance.now();
  const bytes = await work();
  const seconds = (performance.now() - startedAt) / 1000;
  const [peak, grown] = [peakRss, peakRss - startRss].map((rss) => Math.round(rss / mebibyte));
  console.log(
    `${what} ${bytes / mebibyte} MiB in ${seconds.toFixed(1)} s: peak RSS ${peak} MiB, ${grown} more than before`,
  );
};

await measure('put', async () => (await store.put('large', source())).bytes);
await measure('get', async () => {
  let bytes = 0;
  for await (const chunk of await store.get('large')) {
    bytes += (chunk as Buffer).length;
    sample();
  }
  return bytes;
});
await store.delete('large');
await store.delete('warm-up');
await server.stop();
