import { createRandom, type Random } from './random.ts';

/** What the owner does to a batch after it was acknowledged. Times are milliseconds since then. */
type Interference =
  | { readonly kind: 'none' }
  | { readonly kind: 'cancel'; readonly afterMs: number }
  | { readonly kind: 'pause'; readonly afterMs: number; readonly forMs: number };

export interface PlannedSubmission {
  /** Its `Idempotency-Key`, and the start of its custom ids. */
  readonly key: string;
  /** Since the start. */
  readonly atMs: number;
  readonly requests: number;
  /** The api that is asked first. */
  readonly api: number;
  /** Decides the prompts. */
  readonly seed: number;
  readonly interference: Interference;
}

const largestBatch = 5000;

/** From 1 to `largest`, with each order of magnitude as likely as any other. */
const drawSize = (random: Random, largest: number): number => Math.round(largest ** random.next());

/** All batches are submitted within this share of the time. */
const submitShare = 0.8;

const drawInterference = (random: Random, durationMs: number): Interference => {
  const drawn = random.next();
  const longestMs = (durationMs * (1 - submitShare)) / 2;
  const afterMs = random.between(100, Math.min(8000, longestMs));
  if (drawn < 0.2) return { kind: 'cancel', afterMs };
  if (drawn < 0.45) return { kind: 'pause', afterMs, forMs: random.between(1000, Math.min(20_000, longestMs)) };
  return { kind: 'none' };
};

/** Plans batches of 1 to 5000 requests, `requests` in all, which are submitted at random times before `durationMs`. */
export const planWorkload = (
  random: Random,
  { requests, durationMs, apis }: { requests: number; durationMs: number; apis: number },
): PlannedSubmission[] => {
  const sizes: number[] = [];
  const largest = Math.min(largestBatch, Math.ceil(requests / 4));
  for (let left = requests; left > 0; left -= sizes.at(-1)!) sizes.push(Math.min(left, drawSize(random, largest)));
  const times = sizes.map(() => random.between(0, Math.floor(durationMs * submitShare))).sort((a, b) => a - b);
  return sizes.map((size, i) => ({
    key: `chaos-${i}`,
    // The first batch runs from the start.
    atMs: i === 0 ? 0 : times[i]!,
    requests: size,
    api: random.between(0, apis - 1),
    seed: random.between(0, 2 ** 31),
    interference: drawInterference(random, durationMs),
  }));
};

/** The simulator's markers for calls that fail, and how many prompts in a thousand have each. */
const troubles = [
  ['[[sim:status=400]]', 10],
  ['[[sim:status=500;times=1]]', 6],
  ['[[sim:status=503;times=2]]', 3],
  ['[[sim:status=429;retry-after-ms=20;times=1]]', 3],
  ['[[sim:fault=truncate;times=1]]', 3],
] as const;

const drawTrouble = (random: Random): string => {
  let drawn = random.next() * 1000;
  return troubles.find(([, share]) => (drawn -= share) < 0)?.[0] ?? '';
};

/** The input file of a submission. Each prompt names its request, and so does the echo of it. */
export const inputOfSubmission = ({ key, requests, seed }: PlannedSubmission): string => {
  const random = createRandom(seed);
  return Array.from({ length: requests }, (_, index) => {
    const content = `${key}, request ${index}: ${'.'.repeat(random.between(0, 200))} ${drawTrouble(random)}`;
    const body = { model: 'simulator/echo', messages: [{ role: 'user', content }] };
    return `${JSON.stringify({ custom_id: `${key}-${index}`, method: 'POST', url: '/v1/chat/completions', body })}\n`;
  }).join('');
};
