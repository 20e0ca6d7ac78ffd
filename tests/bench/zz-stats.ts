import { Redis } from 'ioredis';
import { startContenders } from './contenders.ts';
import { readFileSync } from 'node:fs';
await using ends = new AsyncDisposableStack();
const [ours] = await startContenders(ends, { concurrency: 100, latencyMs: 5 });
const pid = ours!.processes['redis'];
// find port
const cmd = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ');
const port = /:(\d+)/.exec(cmd)?.[1] ?? /--port (\d+)/.exec(cmd)?.[1];
const redis = new Redis(Number(port));
await ours!.run(3000);
await redis.config('RESETSTAT');
const n = 20000;
await ours!.run(n);
const stats = (await redis.info('commandstats')).split('\r\n').filter((l) => l.includes('usec='));
const rows = stats.map((l) => {
  const m = /cmdstat_(.*):calls=(\d+),usec=(\d+)/.exec(l)!;
  return [m[1], Number(m[2]) / n, Number(m[3]) / n] as const;
});
rows.sort((a, b) => b[2] - a[2]);
for (const [name, calls, usec] of rows.slice(0, 30))
  console.log(name!.padEnd(24), calls.toFixed(2).padStart(8), usec.toFixed(2).padStart(8));
redis.disconnect();
