import type { FileStore } from '@promptmill/files';
import type {
  BatchJob,
  BatchStore,
  Claims,
  DeltaSubscriber,
  DueIndex,
  FileRecords,
  Keys,
  RedisConnection,
} from '@promptmill/queue';
import type { Logger, Metrics, Reach } from '@promptmill/runtime';
import type { Queue } from 'bullmq';
import type { ApiConfig } from './api-config.ts';
import type { Creation } from './batches/creation.ts';
import type { Journal } from './journal/journal.ts';
import type { ReceiveInput } from './files/receive-input.ts';
import type { RemoveFile } from './files/remove-file.ts';

/** What handlers work with. */
export interface ApiDependencies {
  readonly config: ApiConfig;
  /** Fails while Redis is away, as does all that uses it here. */
  readonly redis: RedisConnection;
  readonly keys: Keys;
  readonly files: FileStore;
  readonly records: FileRecords;
  readonly batches: BatchStore;
  readonly due: DueIndex;
  readonly deltas: DeltaSubscriber;
  readonly batchesQueue: Queue<BatchJob>;
  readonly journal: Journal;
  /** Resolves when what Redis has lost is restored. */
  readonly replayed: () => Promise<void>;
  /** What batches were created under idempotency keys. */
  readonly claims: Claims<Creation>;
  readonly receiveInput: ReceiveInput;
  readonly removeFile: RemoveFile;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly reach: Reach;
  /** Aborts when the process stops: what would stream for ever ends. */
  readonly stopping: AbortSignal;
}
