import type { Tenants } from '@promptmill/core';
import type { FileStore } from '@promptmill/files';
import type {
  BatchJob,
  BatchStore,
  Claims,
  Deliveries,
  DeliveryJob,
  ShardJob,
  DeltaSubscriber,
  DueIndex,
  FileRecords,
  Keys,
  RedisConnection,
  TenantIndex,
  TenantPlaces,
  UploadRecords,
  UsageRecords,
  WebhookRecords,
} from '@promptmill/queue';
import type { Logger, Metrics, PassFailPoint, Tracing } from '@promptmill/runtime';
import type { Queue } from 'bullmq';
import type { KeyRing } from './access/key-ring.ts';
import type { Logins } from './access/logins.ts';
import type { PresentTenants } from './access/present-tenants.ts';
import type { ApiConfig } from './api-config.ts';
import type { BatchTurns } from './batches/batch-turns.ts';
import type { ReadParquetApart } from './conversions/read-parquet-apart.ts';
import type { Creation } from './batches/creation.ts';
import type { Journal } from './journal/journal.ts';
import type { ReceiveInput } from './files/receive-input.ts';
import type { RemoveFile } from './files/remove-file.ts';
import type { UploadPlaces } from './tenants/upload-places.ts';
import type { KeptCallers } from './live/kept-callers.ts';
import type { CountLiveCalls } from './live/count-live-calls.ts';
import type { LaneWatch } from './live/lane-watch.ts';
import type { LiveCalls } from './live/live-calls.ts';
import type { LivePlaces } from './live/live-places.ts';
import type { CheckPrices } from './spending/check-prices.ts';
import type { Measuring } from './spending/measuring.ts';

/** What route handlers need. */
export interface ApiDependencies {
  readonly config: ApiConfig;
  /** Whether there are no API keys, so that anyone who reaches the api may use it. */
  readonly isKeyless: () => boolean;
  readonly logins: Logins;
  /** The keys that open the api now. */
  readonly ring: KeyRing;
  /** Its commands fail while Redis is away, and so do those of the stores here. */
  readonly redis: RedisConnection;
  readonly keys: Keys;
  readonly files: FileStore;
  readonly records: FileRecords;
  readonly uploads: UploadRecords;
  readonly batches: BatchStore;
  readonly due: DueIndex;
  readonly tenantIndex: TenantIndex;
  /** What tenants have used. */
  readonly usage: UsageRecords;
  readonly measuring: Measuring;
  readonly checkPrices: CheckPrices;
  readonly deltas: DeltaSubscriber;
  readonly batchesQueue: Queue<BatchJob>;
  readonly webhooks: WebhookRecords;
  readonly deliveries: Deliveries;
  readonly webhooksQueue: Queue<DeliveryJob>;
  readonly shardsQueue: Queue<ShardJob>;
  readonly journal: Journal;
  /** Resolves when no replay of the journal is under way. */
  readonly replayed: () => Promise<void>;
  /** Which batches were created under idempotency keys. */
  readonly claims: Claims<Creation>;
  readonly places: TenantPlaces;
  readonly present: PresentTenants;
  readonly batchTurns: BatchTurns;
  readonly uploadPlaces: UploadPlaces;
  readonly live: LiveCalls;
  readonly kept: KeptCallers;
  readonly livePlaces: LivePlaces;
  readonly countLiveCalls: CountLiveCalls;
  readonly laneWatch: LaneWatch;
  /** What each tenant may use. */
  readonly tenants: Pick<Tenants, 'limitsOf' | 'weightOf'>;
  readonly receiveInput: ReceiveInput;
  readonly removeFile: RemoveFile;
  readonly readParquetApart: ReadParquetApart;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly tracing: Tracing;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly passFailPoint: PassFailPoint;
  /** Fires when the process stops, to end event streams. */
  readonly stopping: AbortSignal;
}
