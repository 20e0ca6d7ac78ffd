import {
  type Batch,
  deadlineNearMs,
  fallbackJob,
  flexPatienceMs,
  jobIdOf,
  type Lane,
  type LaneTable,
  mayStepUp,
  noCopies,
  type RequestJob,
  type RetryPolicy,
  type Tenants,
} from '@promptmill/core';
import { type BatchSnapshot, type DispatchedRequests, type LaneTurns, toLaneJob } from '@promptmill/queue';
import type { Job, Queue } from 'bullmq';
import { createSeenBatches } from '../seen-batches.ts';
import { type FlexPace, nextPace } from './flex-pace.ts';

export interface StepUpOptions {
  readonly lanes: LaneTable;
  readonly queueOf: (lane: string) => Queue<RequestJob>;
  readonly turns: Pick<LaneTurns, 'take'>;
  readonly tenants: Pick<Tenants, 'weightOf'>;
  readonly requests: Pick<DispatchedRequests, 'states'>;
  readonly retry: RetryPolicy;
  /** Is told how many requests have left a flex lane. */
  readonly onMoved: (lane: string, count: number) => void;
  readonly now: () => number;
}

interface Seen {
  readonly pace: FlexPace;
  /** Requests that have stepped up. */
  readonly moved: number;
  /** Results that others than flex gave before the first look. */
  readonly othersAtFirst: number;
  /** The next look begins before this request. */
  readonly before: number;
}

const everyMs = 1000;
/** Requests that are looked at together, and how many times in a look. */
const pieceRequests = 250;
const mostPieces = 8;

/** Results that flex did not give. Copies are nobody's. */
const othersOf = ({ completed, failed, flex, copies = noCopies }: Batch): number =>
  completed + failed - copies.made - (flex?.answers ?? 0);

/**
 * Moves requests of a batch from their flex lane to the standard one, about once a second: as many as would not be done in
 * time at the pace that flex gives. It takes those that no worker has, the last first. What a worker has waits for flex until
 * the deadline is near (the worker's own fallback.ts).
 */
export const createStepUp = ({ lanes, queueOf, turns, tenants, requests, retry, onMoved, now }: StepUpOptions) => {
  const seen = createSeenBatches<Seen>();
  /** The flex lanes from which requests may step up. */
  const flexLanes = new Map(
    lanes.lanes.flatMap((lane) => (lane.flex && mayStepUp(lane) ? [[lane.flex.name, lane.flex]] : [])),
  );

  const hasWaiting = async ({ name }: Lane): Promise<boolean> =>
    (await queueOf(name).getJobCountByTypes('prioritized', 'waiting')) > 0;

  /**
   * Takes a request's job out of a flex lane. Undefined when a worker has it, it has been tried before, or it may not step
   * up.
   */
  const takeOut = async (queue: Queue<RequestJob>, jobId: string): Promise<RequestJob | undefined> => {
    const job: Job<RequestJob> | undefined = await queue.getJob(jobId);
    if (!job || job.finishedOn !== undefined || job.attemptsMade > 0) return undefined;
    if (job.data.fallback?.patienceMs === undefined) return undefined;
    // What is lost when this process dies now is found and added again.
    return (await queue.remove(jobId)) === 1 ? job.data : undefined;
  };

  const addToStandard = async ({ id, tenant }: Batch, from: Lane, jobs: readonly RequestJob[], isNew: boolean) => {
    const byLane = Map.groupBy(jobs, ({ fallback }) => lanes.route(fallback?.models[0] ?? '')?.lane.name ?? '');
    for (const [lane, waiting] of byLane) {
      const user = { tenant, weight: tenants.weightOf(tenant), batchId: id, isNew };
      const { positions } = await turns.take(lane, user, waiting.length);
      const next = waiting.flatMap((request, i) => {
        const route = lanes.route(request.fallback?.models[0] ?? '');
        return route ? [toLaneJob(fallbackJob(request, from, 0, route), positions[i] ?? 0, retry)] : [];
      });
      await queueOf(lane).addBulk(next);
    }
  };

  /** Moves up to `count` requests before an index. Resolves with how many, and where the next look goes on. */
  const move = async (
    { batch, state }: BatchSnapshot,
    from: readonly Lane[],
    count: number,
    { before, moved }: Pick<Seen, 'before' | 'moved'>,
  ): Promise<Pick<Seen, 'before' | 'moved'>> => {
    const { dispatched } = state;
    let [end, found] = [before, 0];
    for (let piece = 0; piece < mostPieces && found < count; piece++) {
      if (end <= 0 || end > dispatched) end = dispatched;
      const first = Math.max(0, end - pieceRequests);
      const states = await requests.states(batch.id, first, end - first);
      const open = states
        .flatMap(({ isSettled, isRepeat }, i) => (isSettled || isRepeat ? [] : [first + i]))
        .toReversed();
      let looked = 0;
      while (looked < open.length && found < count) {
        const jobIds = open.slice(looked, looked + count - found).map((index) => jobIdOf(batch.id, index));
        looked += jobIds.length;
        for (const lane of from) {
          const queue = queueOf(lane.name);
          const taken = (await Promise.all(jobIds.map((jobId) => takeOut(queue, jobId)))).filter(
            (job) => job !== undefined,
          );
          if (taken.length === 0) continue;
          await addToStandard(batch, lane, taken, moved + found === 0);
          onMoved(lane.name, taken.length);
          found += taken.length;
        }
      }
      end = looked < open.length ? (open[looked - 1] ?? end) : first;
    }
    return { moved: moved + found, before: end };
  };

  return async (snapshot: BatchSnapshot): Promise<void> => {
    const { batch, state } = snapshot;
    const from = Object.keys(state.positions).flatMap((name) => flexLanes.get(name) ?? []);
    const known = seen.get(batch.id);
    const atMs = now();
    if (from.length === 0 || (known && atMs < known.pace.atMs + everyMs)) return;
    const { total, completed, failed, createdAt, inProgressAt = createdAt, copies = noCopies } = batch;
    const { moved = 0, othersAtFirst = othersOf(batch), before = state.dispatched } = known ?? {};
    const steppedUp = Math.max(0, moved - (othersOf(batch) - othersAtFirst));
    const left = total - completed - failed - (copies.expected - copies.made) - steppedUp;
    const pace = nextPace(known?.pace, {
      atMs,
      answers: batch.flex?.answers ?? 0,
      left,
      startedAtMs: inProgressAt * 1000,
      endMs: deadlineNearMs(batch),
      spanMs: flexPatienceMs(batch),
    });
    const due = Math.floor(pace.due);
    const waiting = due > 0 ? await Promise.all(from.map(hasWaiting)) : [];
    const after = waiting.includes(true) ? await move(snapshot, from, due, { before, moved }) : { moved, before };
    seen.note(batch.id, { pace: { ...pace, due: pace.due - (after.moved - moved) }, othersAtFirst, ...after });
  };
};
