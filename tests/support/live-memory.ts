import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/**
 * The bytes that this process uses, without garbage. Unlike the resident set, they do not depend on when Node last
 * collected garbage.
 */
const liveBytes = (): number => {
  // Buffers that the first pass found unused count until the second pass begins.
  collectGarbage();
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};

/** Measures how far the used bytes rise above those at the start. */
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
