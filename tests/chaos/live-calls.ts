import { setTimeout as delay } from 'node:timers/promises';
import OpenAI, { APIConnectionError, APIError } from 'openai';
import type { AppliedFault } from './apply-fault.ts';
import { isProcessFault } from './plan-faults.ts';
import type { Random } from './random.ts';
import type { Span } from './watch-progress.ts';

/** A live call that its caller makes once, and does not try again. */
export interface PlannedLiveCall {
  readonly prompt: string;
  /** Since the start. */
  readonly atMs: number;
  readonly api: number;
  readonly isStreamed: boolean;
}

/** How a live call ended for its caller. */
export interface LiveCallEnd extends Span {
  readonly plan: PlannedLiveCall;
  /** The answer's content, or the error: its status or code; `connection` where the connection broke. */
  readonly answer?: string;
  readonly error?: string;
}

/** How long a caller waits. */
const patienceMs = 30_000;
/** How late an error may come on a busy machine. */
const lateMs = 5000;

/** Plans calls at random times of the first eight tenths of the run; a call with an `Idempotency-Key` is to come here too. */
export const planLiveCalls = (
  random: Random,
  { calls, durationMs, apis }: { calls: number; durationMs: number; apis: number },
): PlannedLiveCall[] =>
  Array.from({ length: calls }, (_, i) => ({
    prompt: `live call ${i}`,
    atMs: random.between(0, durationMs * 0.8),
    api: random.between(0, apis - 1),
    isStreamed: random.next() < 0.3,
  }));

const errorOf = (error: unknown): string => {
  if (error instanceof APIConnectionError) return 'connection';
  // An error within a stream has a code and no status.
  if (error instanceof APIError) return String(error.status ?? error.code);
  return 'connection';
};

const ask = async (client: OpenAI, { prompt, isStreamed }: PlannedLiveCall): Promise<string> => {
  const body = { model: 'simulator/echo', messages: [{ role: 'user' as const, content: prompt }] };
  if (!isStreamed) return (await client.chat.completions.create(body)).choices[0]?.message.content ?? '';
  let whole = '';
  for await (const { choices } of await client.chat.completions.create({ ...body, stream: true }))
    whole += choices[0]?.delta.content ?? '';
  return whole;
};

/** Makes the calls as their callers would. */
export const makeLiveCalls = async (
  plan: readonly PlannedLiveCall[],
  { apiUrls, startedAtMs }: { readonly apiUrls: readonly string[]; readonly startedAtMs: number },
): Promise<LiveCallEnd[]> => {
  const clients = apiUrls.map(
    (url) => new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0, timeout: patienceMs }),
  );
  return Promise.all(
    plan.map(async (planned): Promise<LiveCallEnd> => {
      await delay(Math.max(0, startedAtMs + planned.atMs - Date.now()));
      const fromMs = Date.now();
      const end = await ask(clients[planned.api]!, planned).then(
        (answer) => ({ answer }),
        (error: unknown) => ({ error: errorOf(error) }),
      );
      return { plan: planned, ...end, fromMs, toMs: Date.now() };
    }),
  );
};

/** A fault may make an api answer that Redis is away for so long after it. */
const awayMs = 15_000;

/** Whether a fault explains that a call ended with an error. */
const explains = ({ error, plan, fromMs, toMs }: LiveCallEnd, { planned, ...fault }: AppliedFault): boolean => {
  if (fromMs > fault.healedMs + awayMs || toMs < fault.fromMs) return false;
  const isOfItsApi = isProcessFault(planned) && planned.target.role === 'api' && planned.target.index === plan.api;
  // Its connection breaks, or is refused, only with its api.
  if (error === 'connection') return isOfItsApi;
  // A stream that had begun breaks off with its worker or provider.
  if (error === 'incomplete_stream') return true;
  return isOfItsApi || !isProcessFault(planned) || planned.target.role === 'worker';
};

/** Says what is wrong with how live calls ended. */
export const checkLiveCalls = (ends: readonly LiveCallEnd[], faults: readonly AppliedFault[]): string[] =>
  ends.flatMap((end) => {
    const { plan, answer, error, fromMs, toMs } = end;
    const problems: string[] = [];
    if (toMs - fromMs > patienceMs + lateMs) problems.push(`took ${toMs - fromMs} ms`);
    if (error === undefined && answer !== plan.prompt) problems.push(`was answered ${JSON.stringify(answer)}`);
    if (error !== undefined && !faults.some((fault) => explains(end, fault)))
      problems.push(`ended with ${error}, which no fault explains`);
    return problems.map((problem) => `P11: ${plan.prompt} ${problem}`);
  });
