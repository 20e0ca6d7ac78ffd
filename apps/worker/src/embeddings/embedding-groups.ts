import type { Lane, RequestJob, RetryPolicy } from '@promptmill/core';
import { type EmbeddingInputs, embeddingInputsOf, guessTokens } from '@promptmill/provider';
import { suspectAfter } from '../quarantine.ts';
import type { Called, WantedRequest } from '../wanted-request.ts';

/** A request for embeddings that shares a call with others. */
export interface GroupedRequest extends WantedRequest {
  readonly inputs: EmbeddingInputs;
}

/** How a call for a group ended for each of its requests, in their order. */
export interface GroupEnd {
  readonly ends: readonly Called[];
  /** How long the answer was. Undefined when there was none. */
  readonly characters?: number | undefined;
}

export interface EmbeddingGroupsOptions {
  readonly lane: Pick<Lane, 'embeddingsPerCall' | 'embeddingTokensPerCall' | 'limits'>;
  readonly retry: Pick<RetryPolicy, 'attempts'>;
  readonly call: (requests: readonly [GroupedRequest, ...GroupedRequest[]]) => Promise<GroupEnd>;
}

interface Member extends GroupedRequest {
  readonly resolve: (called: Called) => void;
  readonly reject: (error: unknown) => void;
}

interface Group {
  readonly members: Member[];
  inputs: number;
  tokens: number;
  readonly sinceMs: number;
  readonly timer: NodeJS.Timeout;
}

/** A group goes when no request has come for this long, and after a second at the latest. */
const quietMs = 20;
const longestMs = 1000;

/** A request that has failed so often beside others has its next calls for itself: one of them may be the cause. */
const failuresInCompany = 2;

/** A longer answer would take much memory, and its parsing would keep other calls waiting. */
const mostCharacters = 8 * 1024 * 1024;
/** How long the answers to all groups together may be for which the worker takes further jobs. */
const mostCharactersInWork = 32 * 1024 * 1024;
/** How long an embedding is before one is known: 3072 numbers. */
const firstCharacters = 64 * 1024;
/** Lengths of the embeddings of so many kinds of requests are known. */
const mostKinds = 100;

/** What a group may take of the tokens that its lane may use in a minute. */
const shareOfMinute = 0.1;

/** Whether a call may have failed because of one of its requests. */
const mayBeOfOne = (called: Called): boolean =>
  'result' in called &&
  called.result.kind === 'failure' &&
  (called.result.class === 'final' || called.result.code === 'permission_denied');

const isSuccess = (called: Called): boolean => 'result' in called && called.result.kind === 'success';

/** What requests must have in common to share a call, beside their batch: all but their inputs. */
const kindOf = ({ body, fallback, fallbackFrom }: RequestJob, { kind }: EmbeddingInputs): string =>
  JSON.stringify([kind, { ...body, input: undefined }, fallback?.models.length, fallbackFrom]);

/**
 * Gathers the requests for embeddings of a batch into one call. One that its provider refuses is made again in halves, down
 * to the request that is the cause.
 */
export const createEmbeddingGroups = ({ lane, retry, call }: EmbeddingGroupsOptions) => {
  const groups = new Map<string, Group>();
  /** How many inputs a call has at most: as configured, or fewer where the provider has shown that it takes fewer. */
  let perCall = lane.embeddingsPerCall;
  const tokensPerCall = Math.min(
    lane.embeddingTokensPerCall,
    (lane.limits.tokensPerMinute ?? Infinity) * shareOfMinute,
  );
  const charactersOf = new Map<string, number>();

  let charactersInWork = 0;

  /** Resolves with whether all were answered. */
  const callAll = async (kind: string, members: readonly Member[]): Promise<boolean> => {
    const [first, ...others] = members;
    if (!first) return true;
    const { ends, characters } = await call([first, ...others]);
    const inputs = members.reduce((sum, { inputs: { items } }) => sum + items.length, 0);
    if (characters !== undefined) {
      if (charactersOf.size >= mostKinds) charactersOf.clear();
      charactersOf.set(kind, Math.ceil(characters / inputs));
    }
    const failed = members.filter((_, i) => mayBeOfOne(ends[i] as Called));
    const isSplit = failed.length > 1;
    for (const [i, member] of members.entries())
      if (!isSplit || !failed.includes(member)) member.resolve(ends[i] as Called);
    if (!isSplit) return ends.every(isSuccess);
    const half = Math.ceil(failed.length / 2);
    const areAnswered = [await callAll(kind, failed.slice(0, half)), await callAll(kind, failed.slice(half))].every(
      Boolean,
    );
    // None of them was the cause: there were too many.
    if (areAnswered) perCall = Math.min(perCall, Math.ceil(inputs / 2));
    return areAnswered;
  };

  const close = (key: string, kind: string): void => {
    const group = groups.get(key);
    if (!group) return;
    groups.delete(key);
    clearTimeout(group.timer);
    callAll(kind, group.members).catch((error: unknown) => {
      for (const { reject } of group.members) reject(error);
    });
  };

  const mayJoin = ({ request: { url, live, refusals }, job }: WantedRequest): boolean =>
    perCall > 1 &&
    url === '/v1/embeddings' &&
    !live &&
    !refusals &&
    job.stalledCounter < suspectAfter &&
    job.attemptsMade < Math.min(failuresInCompany, retry.attempts - 1);

  return {
    /** Undefined when the request is to have a call of its own. */
    join(wanted: WantedRequest): Promise<Called> | undefined {
      if (!mayJoin(wanted)) return undefined;
      const inputs = embeddingInputsOf(wanted.request.body);
      if (!inputs) return undefined;
      const kind = kindOf(wanted.request, inputs);
      const key = `${wanted.request.batchId} ${kind}`;
      const tokens = wanted.estimatedTokens || guessTokens(inputs);
      const characters = charactersOf.get(kind) ?? firstCharacters;
      const most = Math.min(perCall, Math.floor(mostCharacters / characters));
      const before = groups.get(key);
      if (before && (before.inputs + inputs.items.length > most || before.tokens + tokens > tokensPerCall))
        close(key, kind);
      const group = groups.get(key) ?? {
        members: [],
        inputs: 0,
        tokens: 0,
        sinceMs: performance.now(),
        timer: setTimeout(() => close(key, kind), quietMs),
      };
      groups.set(key, group);
      group.inputs += inputs.items.length;
      group.tokens += tokens;
      // The call takes one place.
      if (group.members.length > 0 && charactersInWork < mostCharactersInWork) wanted.run.lendPlace();
      const answerCharacters = inputs.items.length * characters;
      charactersInWork += answerCharacters;
      return new Promise<Called>((resolve, reject) => {
        group.members.push({ ...wanted, inputs, resolve, reject });
        if (group.inputs >= most || performance.now() - group.sinceMs > longestMs) close(key, kind);
        else group.timer.refresh();
      }).finally(() => {
        charactersInWork -= answerCharacters;
      });
    },
  };
};
