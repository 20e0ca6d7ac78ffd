import type { FileStore } from '@promptmill/files';
import type { Logger } from '@promptmill/runtime';

const everyMs = 3_600_000;
/** An upload that has not moved for so long has no one behind it. */
const abandonedAfterMs = 86_400_000;

/** Removes what killed processes left half-written, now and once an hour. */
export const sweepAbandoned = (files: FileStore, logger: Logger): { close(): void } => {
  const sweep = async (): Promise<void> => {
    try {
      const removed = await files.removeAbandoned(abandonedAfterMs);
      if (removed > 0) logger.info({ removed }, 'abandoned uploads removed');
    } catch (error) {
      logger.warn({ err: error }, 'sweep');
    }
  };
  void sweep();
  const timer = setInterval(() => void sweep(), everyMs);
  return { close: () => clearInterval(timer) };
};
