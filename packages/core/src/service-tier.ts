import type { Endpoint } from './endpoints.ts';
import type { JsonObject } from './json.ts';
import type { RequestBody } from './request-line.ts';

/** `flex`: a cheaper tier of a provider, which may be slow, or refuse a call for lack of capacity. */
export const serviceTiers = ['flex', 'standard'] as const;
export type ServiceTier = (typeof serviceTiers)[number];

/**
 * The endpoints whose requests may name a tier.
 * Source: https://developers.openai.com/api/docs/guides/flex-processing
 */
const flexEndpoints = new Set<Endpoint>(['/v1/chat/completions', '/v1/responses']);

export const mayBeFlex = (url: Endpoint): boolean => flexEndpoints.has(url);

/** Whether a request asks for flex in its body. */
export const asksForFlex = (url: Endpoint, body: Readonly<JsonObject>): boolean =>
  mayBeFlex(url) && body['service_tier'] === 'flex';

/** Whether a request leaves its tier to others. */
export const namesNoTier = ({ service_tier: tier }: Readonly<JsonObject>): boolean =>
  tier === undefined || tier === null;

/** The body of a request that goes to flex. */
export const toFlexBody = (body: RequestBody): RequestBody => ({ ...body, service_tier: 'flex' });

/** The body of a request that leaves flex: its provider takes the standard tier then. */
export const withoutTier = ({ service_tier: _tier, ...body }: RequestBody): RequestBody => body;
