import { setTimeout as delay } from 'node:timers/promises';
import OpenAI, { APIConnectionTimeoutError, APIError } from 'openai';
import type { AppliedFault } from './apply-fault.ts';
import { type explainCalls, isAnswered, type ProviderCall } from './explain-calls.ts';
import { isProcessFault } from './plan-faults.ts';
import type { Random } from './random.ts';
import type { Span } from './watch-progress.ts';

/** A live call. Its caller makes it once, or with an `Idempotency-Key` until it is answered, through one api after another. */
export interface PlannedLiveCall {
  readonly prompt: string;
  /** The `Idempotency-Key`. The call's model is named after it, so that the provider's log says whose each call is. */
  readonly key?: string;
  /** Since the start. */
  readonly atMs: number;
  readonly api: number;
  readonly isStreamed: boolean;
}

/** How a live call ended for its caller. */
export interface LiveCallEnd extends Span {
  readonly plan: PlannedLiveCall;
  /** The answer's content, or the error: its status or code, `connection` where that broke, `timeout` where nothing came. */
  readonly answer?: string;
  readonly error?: string;
}

/** What of a run explains how its live calls ended. */
export interface LiveCallFacts extends Pick<ReturnType<typeof explainCalls>, 'wasHit'> {
  readonly faults: readonly AppliedFault[];
  readonly startedAtMs: number;
  /** The provider's log. */
  readonly calls: readonly ProviderCall[];
}

/** How long a caller waits. */
const patienceMs = 30_000;
/** How late an error may come on a busy machine. */
const lateMs = 5000;
const repeatAfterMs = 500;

/** Plans calls at random times of the first eight tenths of the run, half of them with an `Idempotency-Key`. */
export const planLiveCalls = (
  random: Random,
  { calls, durationMs, apis }: { calls: number; durationMs: number; apis: number },
): PlannedLiveCall[] =>
  Array.from({ length: calls }, (_, i) => ({
    prompt: `live call ${i}`,
    atMs: random.between(0, durationMs * 0.8),
    api: random.between(0, apis - 1),
    isStreamed: random.next() < 0.3,
    ...(random.next() < 0.5 ? { key: `kept-${i}` } : {}),
  }));

const errorOf = (error: unknown): string => {
  if (error instanceof APIConnectionTimeoutError) return 'timeout';
  // An error within a stream has a code and no status; that of a broken connection has neither.
  return error instanceof APIError ? String(error.status ?? error.code ?? 'connection') : 'connection';
};

const ask = async (client: OpenAI, { prompt, key, isStreamed }: PlannedLiveCall): Promise<string> => {
  const body = { model: `simulator/${key ?? 'echo'}`, messages: [{ role: 'user' as const, content: prompt }] };
  const options = key === undefined ? {} : { headers: { 'Idempotency-Key': key } };
  if (!isStreamed) return (await client.chat.completions.create(body, options)).choices[0]?.message.content ?? '';
  let whole = '';
  for await (const { choices } of await client.chat.completions.create({ ...body, stream: true }, options))
    whole += choices[0]?.delta.content ?? '';
  return whole;
};

/** Makes the calls as their callers would. Those with an `Idempotency-Key` are given up at `giveUpAtMs`. */
export const makeLiveCalls = async (
  plan: readonly PlannedLiveCall[],
  {
    apiUrls,
    startedAtMs,
    giveUpAtMs,
  }: { readonly apiUrls: readonly string[]; readonly startedAtMs: number; readonly giveUpAtMs: number },
): Promise<LiveCallEnd[]> => {
  const clients = apiUrls.map(
    (url) => new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0, timeout: patienceMs }),
  );
  const tryCall = (planned: PlannedLiveCall, api: number) =>
    ask(clients[api % clients.length]!, planned).then(
      (answer) => ({ answer }),
      (error: unknown) => ({ error: errorOf(error) }),
    );
  return Promise.all(
    plan.map(async (planned): Promise<LiveCallEnd> => {
      await delay(Math.max(0, startedAtMs + planned.atMs - Date.now()));
      const fromMs = Date.now();
      let end = await tryCall(planned, planned.api);
      for (let api = planned.api + 1; planned.key !== undefined && 'error' in end && Date.now() < giveUpAtMs; api++) {
        await delay(repeatAfterMs);
        end = await tryCall(planned, api);
      }
      return { plan: planned, ...end, fromMs, toMs: Date.now() };
    }),
  );
};

/** A fault may make an api answer that Redis is away for so long after it. */
const awayMs = 15_000;

/** Whether a fault, which was planned to begin at `beginsMs`, explains that a call ended with an error. */
const explains = (
  { error, plan, fromMs, toMs }: LiveCallEnd,
  { planned, healedMs }: AppliedFault,
  beginsMs: number,
): boolean => {
  if (fromMs > healedMs + awayMs || toMs < beginsMs) return false;
  const isOfItsApi = isProcessFault(planned) && planned.target.role === 'api' && planned.target.index === plan.api;
  // Its connection breaks, or is refused, only with its api.
  if (error === 'connection') return isOfItsApi;
  // A stream that had begun breaks off with its worker or provider.
  if (error === 'incomplete_stream') return true;
  return isOfItsApi || !isProcessFault(planned) || planned.target.role === 'worker';
};

/** What is wrong with a call that was made once. */
const problemsOfOne = (end: LiveCallEnd, { faults, startedAtMs }: LiveCallFacts): string[] => {
  const { error, fromMs, toMs } = end;
  const problems: string[] = [];
  if (toMs - fromMs > patienceMs + lateMs) problems.push(`took ${toMs - fromMs} ms`);
  if (error !== undefined && !faults.some((fault) => explains(end, fault, startedAtMs + fault.planned.atMs)))
    problems.push(`ended with ${error}, which no fault explains`);
  return problems;
};

/** What is wrong with a call under an `Idempotency-Key`: it has no answer, or one was paid for again without a fault. */
const problemsOfKept = ({ plan, error }: LiveCallEnd, { calls, wasHit }: LiveCallFacts): string[] => {
  const problems: string[] = [];
  if (error !== undefined) problems.push(`was never answered, at last with ${error}`);
  const answered = calls.filter((call) => call.model === plan.key && isAnswered(call)).toSorted((a, b) => a.at - b.at);
  if (error === undefined && answered.length === 0) problems.push('was answered, but not by the provider');
  const again = answered.slice(0, -1).filter((call) => !wasHit(call));
  if (again.length > 0) problems.push(`was paid for ${answered.length} times, which no fault explains`);
  return problems;
};

/** Says what is wrong with how live calls ended. */
export const checkLiveCalls = (ends: readonly LiveCallEnd[], facts: LiveCallFacts): string[] => {
  const seconds = (ms: number): string => ((ms - facts.startedAtMs) / 1000).toFixed(1);
  return ends.flatMap((end) => {
    const { plan, answer, error, fromMs, toMs } = end;
    const problems = (plan.key === undefined ? problemsOfOne : problemsOfKept)(end, facts);
    // Only the model `echo` repeats the prompt.
    const isRight = plan.key === undefined ? answer === plan.prompt : answer !== '';
    if (error === undefined && !isRight) problems.push(`was answered ${JSON.stringify(answer)}`);
    const when = `api ${plan.api}, from ${seconds(fromMs)} s to ${seconds(toMs)} s`;
    return problems.map((problem) => `P11: ${plan.prompt} (${when}) ${problem}`);
  });
};
