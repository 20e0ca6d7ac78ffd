import type { ModelPrice } from '@pydantic/genai-prices';
import { presetNamed, type Prices, type Provider, type RequestBody, scalePrices } from '@promptmill/core';

/** It takes some 30 ms and 5 MB, which a process without such a provider saves. */
const loadPublicPrices = () => import('@pydantic/genai-prices');

export interface PriceList {
  /**
   * What a request's model costs at a provider now, in the tier that its body names; undefined when that is unknown. A tier
   * other than standard and flex has prices of its own, which only the configuration may know.
   */
  pricesOf(provider: Provider, body: RequestBody): Promise<Prices | undefined>;
}

/** Some prices change on a date or by the time of day. */
const lookAgainMs = 60_000;
/** The caller chooses the names of models. */
const maxKnown = 1000;

const toPrices = (price: ModelPrice): Prices => ({
  input: price['input_mtok'],
  cachedInput: price['cache_read_mtok'],
  imageInput: price['input_image_mtok'],
  output: price['output_mtok'],
  reasoning: price['output_reasoning_mtok'],
  imageOutput: price['output_image_mtok'],
  call: typeof price['requests_kcount'] === 'number' ? price['requests_kcount'] / 1000 : undefined,
});

/** The names of the standard tier: OpenAI's, Groq's and Gemini's. */
const standardTiers = new Set<unknown>([undefined, null, 'auto', 'default', 'on_demand', 'standard']);

/** What flex costs as a share of the standard price; undefined where nothing says so. */
const flexShareOf = ({ models, flex }: Provider, model: string): number | undefined =>
  ((Object.hasOwn(models, model) ? models[model] : undefined)?.flex ?? flex)?.priceShare;

/**
 * What models cost: as the configuration says, else as the public prices that `@pydantic/genai-prices` brings along say.
 * A provider is found there by its base URL, else a preset by its name. What runs locally has no public price.
 *
 * @param now the time in milliseconds
 */
export const createPriceList = (now: () => number = Date.now): PriceList => {
  let loading: ReturnType<typeof loadPublicPrices> | undefined;
  const known = new Map<string, { readonly prices: Prices | undefined; readonly untilMs: number }>();

  const lookUp = async ({ name, baseUrl }: Provider, model: string): Promise<Prices | undefined> => {
    const key = `${name}/${model}`;
    const found = known.get(key);
    if (found && now() < found.untilMs) return found.prices;
    const { calcPrice, findProvider } = await (loading ??= loadPublicPrices());
    const provider =
      findProvider({ providerApiUrl: baseUrl }) ?? (presetNamed(name) ? findProvider({ providerId: name }) : undefined);
    const price = provider && calcPrice({}, model, { provider, timestamp: new Date(now()) })?.model_price;
    const prices = price && toPrices(price);
    if (known.size >= maxKnown) known.clear();
    known.set(key, { prices, untilMs: now() + lookAgainMs });
    return prices;
  };

  const standardPricesOf = async (provider: Provider, model: string): Promise<Prices | undefined> => {
    if (Object.hasOwn(provider.prices, model)) return provider.prices[model];
    return presetNamed(provider.name)?.isLocal ? undefined : lookUp(provider, model);
  };

  return {
    async pricesOf(provider, { model, service_tier: tier }) {
      const share = tier === 'flex' ? flexShareOf(provider, model) : undefined;
      const known = await standardPricesOf(provider, model);
      if (share !== undefined) return known && scalePrices(known, share);
      return standardTiers.has(tier) || Object.hasOwn(provider.prices, model) ? known : undefined;
    },
  };
};
