/**
 * The oldest Redis that Promptmill runs on: it brought script flags and sharded channels. BullMQ itself needs only 5.0.
 */
export const minRedisVersion = '7.0';

/** Whether Promptmill runs on a Redis or Valkey of this version, such as `7.2.4`. */
export const isRedisSupported = (version: string): boolean =>
  Number.parseInt(version, 10) >= Number.parseInt(minRedisVersion, 10);
