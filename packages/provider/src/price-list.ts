import { presetNamed, type Prices, type Provider, type RequestBody, type TokenPrice } from '@promptmill/core';

type PublicPrices = typeof import('@pydantic/genai-prices');
type PublicPrice = import('@pydantic/genai-prices').ModelPrice;

export interface PriceList {
  /** What a request's model costs at a provider now; undefined when that is unknown. */
  pricesOf(provider: Provider, body: RequestBody): Promise<Prices | undefined>;
}

/** Some prices change on a date or by the time of day. */
const lookAgainMs = 60_000;
/** The caller chooses the names of models. */
const maxKnown = 1000;

const isTokenPrice = (price: PublicPrice[string]): price is TokenPrice & PublicPrice[string] => price !== undefined;

const toPrices = ({
  input_mtok,
  cache_read_mtok,
  output_mtok,
  output_reasoning_mtok,
  requests_kcount,
}: PublicPrice) => ({
  ...(isTokenPrice(input_mtok) ? { input: input_mtok } : {}),
  ...(isTokenPrice(cache_read_mtok) ? { cachedInput: cache_read_mtok } : {}),
  ...(isTokenPrice(output_mtok) ? { output: output_mtok } : {}),
  ...(isTokenPrice(output_reasoning_mtok) ? { reasoning: output_reasoning_mtok } : {}),
  ...(typeof requests_kcount === 'number' ? { call: requests_kcount / 1000 } : {}),
});

/** Whether a call is billed at the public price: other service tiers have prices of their own. */
const isStandard = (tier: unknown): boolean =>
  tier === undefined || tier === null || tier === 'auto' || tier === 'default';

/**
 * What models cost: as the configuration says, else as the public prices that `@pydantic/genai-prices` brings along say.
 * A provider is found there by its base URL, else a preset by its name. What runs locally has no public price.
 *
 * @param now the time in milliseconds
 */
export const createPriceList = (now: () => number = Date.now): PriceList => {
  /** Loading takes some 30 ms and 5 MB, which a process without such a provider saves. */
  let loading: Promise<PublicPrices> | undefined;
  const known = new Map<string, { readonly prices: Prices | undefined; readonly untilMs: number }>();

  const lookUp = async ({ name, baseUrl }: Provider, model: string): Promise<Prices | undefined> => {
    const key = `${name}/${model}`;
    const found = known.get(key);
    if (found && now() < found.untilMs) return found.prices;
    const { calcPrice, findProvider } = await (loading ??= import('@pydantic/genai-prices'));
    const provider =
      findProvider({ providerApiUrl: baseUrl }) ?? (presetNamed(name) ? findProvider({ providerId: name }) : undefined);
    const price = provider && calcPrice({}, model, { provider, timestamp: new Date(now()) })?.model_price;
    const prices = price && toPrices(price);
    if (known.size >= maxKnown) known.clear();
    known.set(key, { prices, untilMs: now() + lookAgainMs });
    return prices;
  };

  return {
    async pricesOf(provider, { model, service_tier: tier }) {
      if (Object.hasOwn(provider.prices, model)) return provider.prices[model];
      if (presetNamed(provider.name)?.isLocal || !isStandard(tier)) return undefined;
      return lookUp(provider, model);
    },
  };
};
