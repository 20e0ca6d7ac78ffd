import { expect, it } from 'vitest';
import { createErrorLog } from './error-log.ts';
import { createLogger } from './logger.ts';

const start = () => {
  const lines: Record<string, unknown>[] = [];
  const stream = { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) };
  let nowMs = 0;
  const log = createErrorLog(createLogger({ level: 'warn', role: 'worker', stream }), () => nowMs);
  return { lines, log, wait: (ms: number) => void (nowMs += ms) };
};

it('logs many errors of one kind once, and later how many there were', () => {
  const { lines, log, wait } = start();
  for (let i = 0; i < 1000; i++)
    log(new Error(`could not renew lock for job batch_${i}-${i}`), 'redis', { lane: 'xai' });
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatchObject({
    msg: 'redis',
    lane: 'xai',
    err: { message: 'could not renew lock for job batch_0-0' },
  });
  wait(10_000);
  log(new Error('could not renew lock for job batch_x-7'), 'redis');
  expect(lines[1]).toMatchObject({ repeated: 999 });
});

it('logs errors of another kind at once', () => {
  const { lines, log } = start();
  log(new Error('connect ECONNREFUSED 127.0.0.1:6379'), 'redis');
  log(new Error('connect ECONNREFUSED 127.0.0.1:6380'), 'redis');
  log(new Error('READONLY'), 'redis');
  log(new Error('READONLY'), 'collector');
  expect(lines.map(({ msg, repeated }) => [msg, repeated])).toEqual([
    ['redis', undefined],
    ['redis', undefined],
    ['collector', undefined],
  ]);
});
