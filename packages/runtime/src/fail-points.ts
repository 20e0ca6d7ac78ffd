import { writeSync } from 'node:fs';

/**
 * Places between two steps at which a test may kill a process, to show what its death leaves behind. They are in the
 * order in which a request passes them.
 */
export const failPoints = [
  /** api: an input's bytes are in the store, its record is not written. */
  'input-stored',
  /** api: the record of a file that was uploaded in parts is written, the upload is not completed. */
  'parts-joined',
  /** api: a batch's record is written, its job is not added. */
  'batch-recorded',
  /** api: a batch's job is added, the caller has no answer. */
  'batch-queued',
  /** api: it is found which requests of a batch repeat others, and not yet noted. */
  'repeats-found',
  /** api: a chunk of requests is in its lanes, the cursor has not moved. */
  'jobs-added',
  /** api: the cursor has moved past a chunk. */
  'cursor-moved',
  /** api: it is decided which requests are handed off, their shards have no jobs. */
  'hand-off-planned',
  /** api: requests that came back from a shard have jobs, and still count as handed off. */
  'returned-added',
  /** worker: a shard's input file is uploaded, its id is not noted. */
  'shard-uploaded',
  /** worker: the provider has a batch for a shard, its id is not noted. */
  'shard-created',
  /** worker: a segment of a shard's results is in the store, and not committed. */
  'shard-written',
  /** worker: a segment of a shard's results is committed. */
  'shard-committed',
  /** worker: the provider has answered, nothing is recorded. */
  'answered',
  /** worker: a result is recorded, its job has not ended. */
  'recorded',
  /** worker: a request has a job in its fallback's lane and still one in the lane it came from. */
  'fallback-added',
  /** collector: a segment is in the store, its results are still on the stream. */
  'segment-written',
  /** collector: a batch's last segment is committed, its finalizing is not asked for. */
  'segment-committed',
  /** api: a segment of copies is in the store, and not committed. */
  'copies-written',
  /** api: a segment of copies is committed. */
  'copies-committed',
  /** collector: the output and error file are published, the batch's status is not set. */
  'files-published',
  /** collector: the batch's last status is set, the job of its finalizing has not ended. */
  'finished',
  /** api: an event's delivery is noted, its job is not added. */
  'event-noted',
  /** api: an event's delivery has its job, the batch's job goes on. */
  'event-queued',
  /** api: a webhook has answered, nothing is noted. */
  'event-sent',
] as const;

export type FailPoint = (typeof failPoints)[number];

export interface FailPointSpec {
  readonly point: FailPoint;
  /** At which pass of the point the process dies; 1 is the first. */
  readonly pass: number;
}

/** Called when the process passes a point. */
export type PassFailPoint = (point: FailPoint) => void;

/** Never kills the process. */
export const noFailPoints: PassFailPoint = () => {};

const killOwnProcess = (): void => {
  process.kill(process.pid, 'SIGKILL');
};

/** At the named pass of the named point writes a line to standard error and kills the process. For tests only. */
export const createFailPoints = (spec: FailPointSpec | undefined, die: () => void = killOwnProcess): PassFailPoint => {
  if (!spec) return noFailPoints;
  let passes = 0;
  return (point) => {
    if (point !== spec.point || ++passes !== spec.pass) return;
    writeSync(process.stderr.fd, `fail point ${point}, pass ${passes}: dying\n`);
    die();
  };
};
