import { setFlagsFromString } from 'node:v8';

/**
 * Has V8 collect garbage rather than let the heap grow. On a machine with room V8 lets the young generation grow to 128
 * MiB over time, and the old one to several times what is alive, so that a process takes 350 MiB whatever it holds. Call
 * it at the start of a process. Nothing is capped: a process that needs more gets it.
 */
export const keepHeapSmall = (): void => {
  // The young generation keeps the size that it starts with.
  setFlagsFromString('--semi-space-growth-factor=1');
  // The old generation is collected when it has doubled since it was last collected.
  setFlagsFromString('--heap-growing-percent=100');
};
