/**
 * Runs `promptmill run` from a CSV to a CSV, or its dry run, on inputs of growing length. Checks that the output has each
 * row in its place, and prints how long it took and the most memory that the command and its Redis held. All roles and the
 * simulator are in the command's process.
 *
 *   node tests/bench/table.ts [--rows 100000,1000000] [--concurrency 200] [--dry-run]
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, createWriteStream, globSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { peakMiB } from './measured-stack.ts';

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '100000,1000000' },
    concurrency: { type: 'string', default: '200' },
    'dry-run': { type: 'boolean', default: false },
  },
});
const main = join(import.meta.dirname, '../../apps/cli/src/main.ts');
const sampleEveryMs = 500;

const reviewOf = (row: number): string =>
  `Review ${row}: it is lighter than it looks and would still be my first choice`;

const writeTable = async (path: string, rows: number): Promise<void> => {
  const file = createWriteStream(path);
  file.write('id,review\n');
  for (let row = 0; row < rows; row++) if (!file.write(`r${row},${reviewOf(row)}\n`)) await once(file, 'drain');
  file.end();
  await once(file, 'close');
};

/** Reads the output line by line: no cell has a line break. Throws at the first line that is not as it should be. */
const checkCsv = async (path: string, rows: number): Promise<void> => {
  let row = -1;
  for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) {
    if (row >= 0 && !line.startsWith(`r${row},${reviewOf(row)},Rate: ${reviewOf(row)},,echo,`))
      throw new Error(`row ${row} is wrong: ${line}`);
    row++;
  }
  if (row !== rows) throw new Error(`the output has ${row} rows, not ${rows}`);
};

/** The process of the Redis that the command has started, once it has. */
const redisPid = (folder: string): number | undefined => {
  const [record] = globSync('data/runs/*/redis/server.json', { cwd: folder });
  return record === undefined
    ? undefined
    : (JSON.parse(readFileSync(join(folder, record), 'utf8')) as { pid: number }).pid;
};

const measure = async (rows: number) => {
  const folder = await mkdtemp(join(tmpdir(), 'promptmill-table-'));
  try {
    await writeTable(join(folder, 'reviews.csv'), rows);
    const output = 'rated.csv';
    const options = ['-m', 'simulator/echo', '-p', 'Rate: {{review}}', '--id', 'id', '-c', values.concurrency];
    const startedAt = performance.now();
    const child = spawn(
      process.execPath,
      [main, 'run', 'reviews.csv', ...options, '-o', output, ...(values['dry-run'] ? ['--dry-run'] : ['-q'])],
      {
        cwd: folder,
        stdio: ['ignore', 'ignore', 'inherit'],
        env: { PATH: process.env['PATH'], HOME: process.env['HOME'], LOG_LEVEL: 'warn' },
      },
    );
    let commandPeakMiB = 0;
    let redisPeakMiB = 0;
    const sampling = setInterval(() => {
      const pid = redisPid(folder);
      void peakMiB(child.pid).then((peak) => (commandPeakMiB = Math.max(commandPeakMiB, peak || 0)));
      void peakMiB(pid).then((peak) => (redisPeakMiB = Math.max(redisPeakMiB, peak || 0)));
    }, sampleEveryMs);
    const [code] = (await once(child, 'exit').finally(() => clearInterval(sampling))) as [number];
    const seconds = (performance.now() - startedAt) / 1000;
    if (code !== 0) throw new Error(`the command ended with ${code}`);
    if (!values['dry-run']) await checkCsv(join(folder, output), rows);
    return {
      rows,
      seconds: Number(seconds.toFixed(1)),
      rowsPerSecond: Math.round(rows / seconds),
      commandPeakMiB,
      ...(values['dry-run'] ? {} : { redisPeakMiB }),
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};

for (const rows of values.rows.split(',').map(Number)) console.log(JSON.stringify(await measure(rows)));
