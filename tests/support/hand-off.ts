import type { CallLogEntry } from '@promptmill/simulator';
import type { Batch } from 'openai/resources/batches';
import { checkHistory } from './check-history.ts';
import { type Stack, startStack, type StackOptions } from './stack.ts';

/** What a call to the model costs, in USD per million tokens. */
export const usdPerMillion = 100;

/** Two stacks: the api of the one is the provider `inner` of the other. */
export const startHandOffStacks = async (
  options: StackOptions,
  batchApi: object = {},
  innerOptions: Partial<StackOptions> = {},
): Promise<{ readonly inner: Stack; readonly outer: Stack }> => {
  const inner = await startStack({ redisUrl: options.redisUrl, ...innerOptions });
  const prices = { input: usdPerMillion, output: usdPerMillion };
  const provider = {
    baseUrl: `${inner.api.url}/v1`,
    batchApi: { wire: 'openai', ...batchApi },
    models: { 'simulator/echo': { prices }, 'simulator/json': { requestsPerSecond: 1 } },
  };
  try {
    const files = { 'promptmill.yaml': JSON.stringify({ providers: { inner: provider } }) };
    return { inner, outer: await startStack({ ...options, files }) };
  } catch (error) {
    await inner.stop();
    throw error;
  }
};

/** The batches at `inner` that were made for a batch, by their shard's number. */
export const shardsOf = async (inner: Stack, batchId: string): Promise<{ shard: number; batch: Batch }[]> => {
  const found: { shard: number; batch: Batch }[] = [];
  for await (const batch of inner.client.batches.list({ limit: 100 }, { maxRetries: 5 })) {
    const [, shard] =
      new RegExp(`^${batchId}-shard-(\\d+)-\\d+$`).exec(batch.metadata?.['promptmill_shard'] ?? '') ?? [];
    if (shard !== undefined) found.push({ shard: Number(shard), batch });
  }
  return found.sort((a, b) => a.shard - b.shard);
};

export interface ResultLine {
  readonly custom_id: string;
  readonly promptmill?: { readonly via?: string; readonly cost_usd?: number };
}

export const parseLines = (content: string | undefined): ResultLine[] =>
  (content ?? '')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as ResultLine);

/**
 * Checks a batch's history against the promises. Its input is of one model, whose shards have `maxLines` requests each; its
 * custom_ids are `request-<index>`. Live calls that `inner` has made for it are taken as what they say.
 */
export const checkHandedOff = async (
  { inner, outer }: { readonly inner: Stack; readonly outer: Stack },
  batch: Batch,
  input: string,
  { maxLines, allowedRepeats = 0 }: { readonly maxLines: number; readonly allowedRepeats?: number },
): Promise<{
  readonly output: ResultLine[];
  readonly errors: ResultLine[];
  readonly calls: readonly CallLogEntry[];
}> => {
  const content = async (id: string | null | undefined): Promise<string | undefined> =>
    id ? (await outer.client.files.content(id)).text() : undefined;
  const [output, errors] = [await content(batch.output_file_id), await content(batch.error_file_id)];
  const firsts = new Map(
    (await shardsOf(inner, batch.id)).map(({ shard, batch: { id } }) => [id, shard * maxLines] as const),
  );
  const log = await inner.calls();
  const calls = log.flatMap((call) => {
    const [, id = '', index] = /^(batch_[0-9a-f]+)-(\d+)/.exec(call.key ?? '') ?? [];
    const first = firsts.get(id);
    return first === undefined ? [] : [{ ...call, key: `${batch.id}-${first + Number(index)}` }];
  });
  const lines = parseLines(output);
  const live = lines
    .filter(({ promptmill: note }) => note?.via === undefined)
    .map(({ custom_id: id }) => ({ key: `${batch.id}-${id.slice('request-'.length)}`, status: 200 }));
  checkHistory({ input, output, errors, batch, calls: [...calls, ...live], allowedRepeats });
  return { output: lines, errors: parseLines(errors), calls };
};
