/** A process that closes as its scenario says: `node signal-process.ts <scenario>`. It prints a line for each step. */
import { createLifecycle, createLogger, runUntilSignal } from '../src/index.ts';

const scenario = process.argv[2];
const logger = createLogger({ level: 'info', role: 'test' });
const say = (event: string): void => logger.info({ event });

const life = createLifecycle(logger);
life.add('first', () => say('closed first'));
if (scenario === 'hang')
  life.add('hanging', () => {
    say('hanging');
    return new Promise<void>(() => {});
  });
if (scenario === 'fail') life.add('failing', () => Promise.reject(new Error('stuck')));
life.add('last', () => say('closed last'));
runUntilSignal(life, { logger, graceMs: Number(process.argv[3]) });

const keepAlive = setInterval(() => {}, 1000);
if (scenario === 'throw')
  setImmediate(() => {
    throw new Error('a bug');
  });
if (scenario === 'end') {
  clearInterval(keepAlive);
  process.exitCode = 3;
}
say('started');
