import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/**
 * The bytes this process holds on to, garbage left out: unlike the resident set they do not depend on when Node last
 * took the time to collect.
 */
const liveBytes = (): number => {
  // The memory of buffers that the first pass found unused is counted until the second begins.
  collectGarbage();
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};

/** How far what the process holds on to rises above what it held at the start. */
export const startMemoryMeter = () => {
  const before = liveBytes();
  let most = before;
  return {
    sample(): void {
      most = Math.max(most, liveBytes());
    },
    growthBytes: (): number => most - before,
  };
};
