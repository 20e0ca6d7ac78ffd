import {
  type Batch,
  type BatchApi,
  isTerminal,
  type LaneTable,
  type Provider,
  lacksKey,
  type Shard,
  shardCancelMs,
  shardJobIdOf,
  type ShardState,
} from '@promptmill/core';
import { type BatchApiClient, BatchApiError, type CallFailure, type ProviderBatch } from '@promptmill/provider';
import {
  type BatchSnapshot,
  type BatchStore,
  type JobLock,
  type ReadShard,
  type ResultRecorder,
  type ShardJob,
  type Shards,
  shardsQueueName,
} from '@promptmill/queue';
import type { PassFailPoint } from '@promptmill/runtime';
import { DelayedError, type Job } from 'bullmq';
import { publicReasonOf, reasonOf } from '../decide.ts';
import type { ShardLines } from './shard-lines.ts';
import type { EndedShard, TakeResults } from './take-results.ts';

export interface RunShardOptions {
  readonly batches: Pick<BatchStore, 'read'>;
  readonly shards: Pick<Shards, 'get' | 'put'>;
  readonly lanes: LaneTable;
  readonly clientOf: (provider: Provider) => BatchApiClient;
  readonly lines: ShardLines;
  readonly take: TakeResults;
  /** Notes for a batch's owner how the provider refused one of its shards. */
  readonly noteRefusal: ResultRecorder['noteRefusal'];
  /** Fires when steps under way must be given up, since the process ends. */
  readonly giveUp: AbortSignal;
  /** Called when a provider's batch API refuses or cannot be reached. */
  readonly onFailure: (shard: Shard, error: BatchApiError) => void;
  readonly passFailPoint: PassFailPoint;
  readonly now: () => number;
}

/** The pair in the metadata of a provider's batch by which it is found again. */
const shardPair = 'promptmill_shard';

/** The time to the next look at a batch that a provider works on: a twentieth of its age, within these bounds. */
const nextLook = { shareOfAge: 1 / 20, leastMs: 1000, mostMs: 60_000 };
/** After a failure that may pass by itself. */
const afterFailureMs = 5000;
/** Another worker may have the provider's key. */
const lacksKeyMs = 5000;
/** When the provider has no room in its queue: at first, and twice as long each time. */
const noRoom = { firstMs: 30_000, mostMs: 600_000 };
/** A batch that is older has ended, or has expired. */
const queueSeconds = 7 * 86_400;

/**
 * What a batch fails with when the provider's queue has no room for its tokens.
 * Source: https://learn.microsoft.com/en-us/answers/questions/2285577/azure-openai-batch-api-token-limit-exceeded-error
 */
const noRoomCode = 'token_limit_exceeded';

/** What a step comes to. */
interface Step {
  /** The shard's next state. Undefined: it stays as it is. */
  readonly state?: ShardState;
  /** When the next step comes. Default: at once. */
  readonly afterMs?: number;
  readonly seen?: ProviderBatch;
  /** Done once the state is noted. */
  readonly cleanUp?: () => Promise<void>;
}

/** Everything a step needs. */
interface Work {
  readonly batch: Batch;
  readonly shard: ReadShard;
  readonly provider: Provider;
  readonly batchApi: BatchApi;
  readonly client: BatchApiClient;
  /** What its batch at the provider is named. */
  readonly name: string;
  /** Since when it is to end, in Unix milliseconds. Undefined: it goes on. */
  readonly endsSinceMs: number | undefined;
  /** Whether its batch takes no more results. */
  readonly isOver: boolean;
}

const withoutBatch = ({ batchId: _id, cancelled: _cancelled, ...state }: ShardState): ShardState => state;
const withoutReason = ({ reason: _reason, ...state }: ShardState): ShardState => state;

/**
 * Runs a shard's job: step by step it uploads the shard's lines, has the provider make a batch of them, looks how far that is
 * and takes its results. Between two looks the job rests. What the provider has made is noted after it is made; a step that
 * is repeated looks for it first. No step needs what an earlier one left in memory: after a crash any worker takes the next.
 */
export const createRunShard = (options: RunShardOptions) => {
  const { batches, shards, lanes, clientOf, lines, take, noteRefusal, giveUp, onFailure, passFailPoint, now } = options;
  const signal = giveUp;

  const end = (state: ShardState, status: 'returning' | 'ended', more: Partial<ShardState> = {}): ShardState => ({
    ...withoutReason(state),
    status,
    ...more,
  });

  /** Since when a shard is to end. */
  const endsSince = ({ batch, state }: BatchSnapshot, { giveUpAtMs }: Shard): number | undefined => {
    if (state.stopping) return (state.stoppedAt ?? 0) * 1000;
    if (batch.pausedAt !== undefined) return batch.pausedAt * 1000;
    return now() >= giveUpAtMs ? giveUpAtMs : undefined;
  };

  /** Uploads the input file, unless that was done before. */
  const upload = async ({ batch, shard, client, name }: Work): Promise<Step> => {
    const { plan, state } = shard;
    const { requests, bytes } = await lines.measure(batch, plan);
    if (requests === 0) return { state: end(state, 'ended', { answered: plan.requests }) };
    const filename = `${name}.jsonl`;
    const search = { since: batch.createdAt, signal };
    const found = await client.findFile({ filename, bytes }, search);
    if (found !== undefined) return { state: { ...state, fileId: found } };
    const upload = { filename, bytes, lines: lines.lines(batch, plan), idempotencyKey: `${name}-file`, signal };
    const fileId = await client.upload(upload);
    passFailPoint('shard-uploaded');
    return { state: { ...state, fileId } };
  };

  /** Brings the shard to its provider. What is there already is found by its name. */
  const begin = async (work: Work): Promise<Step> => {
    const { batch, shard, batchApi, client, name, endsSinceMs } = work;
    const { plan, state } = shard;
    const found = await client.findBatch(shardPair, name, { since: batch.createdAt, signal });
    if (found) {
      const { id: batchId, inputFileId: fileId = state.fileId } = found;
      return { state: { ...state, batchId, ...(fileId === undefined ? {} : { fileId }) } };
    }
    if (endsSinceMs !== undefined)
      return { state: end(state, 'returning'), cleanUp: () => removeFiles(client, [state.fileId]) };
    if (state.fileId === undefined) return upload(work);
    const { id: batchId } = await client.create({
      fileId: state.fileId,
      endpoint: plan.url,
      window: batchApi.window,
      metadata: { [shardPair]: name },
      idempotencyKey: `${name}-batch`,
      signal,
    });
    passFailPoint('shard-created');
    return { state: { ...state, batchId } };
  };

  /** What is left at the provider does no harm: it expires there. */
  const removeFiles = async (client: BatchApiClient, fileIds: readonly (string | undefined)[]): Promise<void> => {
    for (const fileId of fileIds) if (fileId !== undefined) await client.deleteFile(fileId, signal).catch(() => {});
  };

  /** Takes what a batch that has ended at its provider has come to. */
  const finish = async (work: Work, seen: ProviderBatch): Promise<Step> => {
    const { batch, shard, provider, batchApi, client } = work;
    const { plan, state } = shard;
    const [failed] = seen.errors;
    const hasNoRoom = seen.status === 'failed' && failed?.code === noRoomCode && work.endsSinceMs === undefined;
    // Where nothing else is in the provider's queue, it will never have room for so many tokens.
    if (hasNoRoom && (await client.hasUnended({ since: now() / 1000 - queueSeconds, signal }))) {
      const round = state.round + 1;
      const afterMs = Math.min(noRoom.mostMs, noRoom.firstMs * 2 ** state.round);
      return { state: { ...withoutBatch(state), round, reason: failed.code }, afterMs, seen };
    }
    const fileIds = [seen.outputFileId, seen.errorFileId].filter((id) => id !== undefined);
    const ended: EndedShard = { batch, plan, provider, batchApi, client, fileIds, signal };
    const taken = await take(ended);
    const cleanUp = () => removeFiles(client, [state.fileId, ...fileIds]);
    if (taken === 'unwanted') return { state: end(state, 'ended'), seen, cleanUp };
    const reason = failed?.code ?? (seen.status === 'completed' ? undefined : seen.status);
    const more = { answered: plan.requests - taken.left, ...(reason === undefined ? {} : { reason }) };
    return { state: end(state, taken.left > 0 ? 'returning' : 'ended', more), seen, cleanUp };
  };

  /** Looks how far the provider is. */
  const look = async (work: Work, batchId: string): Promise<Step> => {
    const { batch, shard, client, endsSinceMs } = work;
    const { state } = shard;
    const seen = await client.get(batchId, signal);
    if (!seen) return { state: end(state, 'returning', { reason: 'gone' }) };
    if (seen.hasEnded) return finish(work, seen);
    const ageMs = now() - Math.max(batch.createdAt, seen.createdAt) * 1000;
    if (endsSinceMs === undefined) {
      const { shareOfAge, leastMs, mostMs } = nextLook;
      return { seen, afterMs: Math.max(leastMs, Math.min(mostMs, ageMs * shareOfAge)) };
    }
    if (!state.cancelled) {
      await client.cancel(batchId, signal);
      return { state: { ...state, cancelled: true }, seen, afterMs: nextLook.leastMs };
    }
    return { seen, afterMs: nextLook.leastMs };
  };

  /** Ends the shard of a batch that takes no more results. */
  const drop = async ({ shard: { state }, client }: Work): Promise<Step> => {
    const { batchId, fileId } = state;
    const seen = batchId === undefined ? undefined : await client.get(batchId, signal);
    if (seen && !seen.hasEnded) await client.cancel(seen.id, signal);
    const cleanUp = () => removeFiles(client, [fileId, seen?.outputFileId, seen?.errorFileId]);
    return { state: end(state, 'ended'), ...(seen ? { seen } : {}), cleanUp };
  };

  /** What a failure of the provider's batch API comes to. */
  const waitAfter = async ({ batch, shard, provider }: Work, failure: CallFailure): Promise<Step> => {
    const reason = publicReasonOf(failure);
    const waitMs = failure.class === 'provider' ? provider.probeIntervalMs : afterFailureMs;
    const afterMs = Math.max(failure.retryAfterMs ?? 0, waitMs * (1 + Math.random()));
    await noteRefusal(batch.id, { lane: shardsQueueName, reason, message: reasonOf(failure) });
    return { ...(shard.state.reason === reason ? {} : { state: { ...shard.state, reason } }), afterMs };
  };

  /** A step whose provider answered ends what the shard has waited for. */
  const answered = (step: Step, { state }: ReadShard): Step => {
    const next = step.state ?? state;
    return next.status === 'open' && next.reason !== undefined && next.reason === state.reason
      ? { ...step, state: withoutReason(next) }
      : step;
  };

  const stepOf = async (work: Work): Promise<Step> => {
    const { shard, endsSinceMs, isOver } = work;
    const { state } = shard;
    const isOverdue = endsSinceMs !== undefined && now() >= endsSinceMs + shardCancelMs;
    if (isOverdue && state.cancelled) return { state: end(state, 'returning', { reason: 'not_cancelled' }) };
    try {
      if (isOver) return await drop(work);
      return answered(await (state.batchId === undefined ? begin(work) : look(work, state.batchId)), shard);
    } catch (error) {
      if (!(error instanceof BatchApiError)) throw error;
      const { failure } = error;
      onFailure(shard.plan, error);
      if (failure.class !== 'final' && !isOverdue && !isOver) return waitAfter(work, failure);
      return { state: end(state, 'returning', { reason: publicReasonOf(failure) }) };
    }
  };

  const workOf = (snapshot: BatchSnapshot, shard: ReadShard): Work | 'no key' | 'not configured' => {
    const { plan, state } = shard;
    const { batch } = snapshot;
    const provider = lanes.lanes.find((lane) => lane.provider.name === plan.provider)?.provider;
    const batchApi = provider?.batchApi;
    if (!provider || !batchApi) return 'not configured';
    const endsSinceMs = endsSince(snapshot, plan);
    const isOver = isTerminal(batch.status) || snapshot.state.sealed;
    if (lacksKey(provider)) return 'no key';
    const name = `${shardJobIdOf(batch.id, plan.number)}-${state.round}`;
    return { batch, shard, provider, batchApi, client: clientOf(provider), name, endsSinceMs, isOver };
  };

  const takeStep = async (snapshot: BatchSnapshot, shard: ReadShard): Promise<Step> => {
    const work = workOf(snapshot, shard);
    if (work === 'not configured') return { state: end(shard.state, 'returning', { reason: 'no_batch_api' }) };
    if (work !== 'no key') return stepOf(work);
    const endsSinceMs = endsSince(snapshot, shard.plan);
    if (endsSinceMs !== undefined && now() >= endsSinceMs + shardCancelMs)
      return { state: end(shard.state, 'returning', { reason: 'no_key' }) };
    return { afterMs: lacksKeyMs };
  };

  /** What Bull Board shows. */
  const progressOf = ({ requests }: Shard, state: ShardState, seen: ProviderBatch | undefined) => {
    const done = seen ? seen.counts.completed + seen.counts.failed : 0;
    return {
      progress: state.status === 'open' ? Math.min(99, Math.floor((100 * done) / requests)) : 100,
      status: state.status,
      requests,
      ...(state.batchId === undefined ? {} : { batch: state.batchId }),
      ...(seen ? { atProvider: seen.status, ...seen.counts } : {}),
      ...(state.answered === undefined ? {} : { answered: state.answered }),
      ...(state.reason === undefined ? {} : { reason: state.reason }),
    };
  };

  const runSteps = async (job: Job<ShardJob>, lock: JobLock) => {
    const { batchId, shard: number } = job.data;
    for (;;) {
      const [snapshot, shard] = await Promise.all([batches.read(batchId), shards.get(batchId, number)]);
      if (!snapshot || !shard) return { status: 'gone' };
      if (shard.state.status !== 'open') return progressOf(shard.plan, shard.state, undefined);
      const { state, afterMs = 0, seen, cleanUp } = await takeStep(snapshot, shard);
      if (!lock.isHeld) throw new DelayedError();
      // Another worker has the shard when its state has changed meanwhile.
      if (state && !(await shards.put(batchId, shard, state))) throw new DelayedError();
      await job.updateProgress(progressOf(shard.plan, state ?? shard.state, seen));
      await cleanUp?.();
      if (afterMs === 0) continue;
      await job.moveToDelayed(now() + afterMs, job.token);
      throw new DelayedError();
    }
  };

  return async (job: Job<ShardJob>, lock: JobLock) => {
    try {
      return await runSteps(job, lock);
    } catch (error) {
      if (!giveUp.aborted || error instanceof DelayedError) throw error;
      // The process ends: another worker takes the step.
      if (lock.isHeld) await job.moveToDelayed(now(), job.token);
      throw new DelayedError();
    }
  };
};
