import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { board } from '../../apps/api/test/support/test-api.ts';
import { inputFile, line } from '../../apps/api/test/support/input.ts';
import { type Caller, callers, type SecuritySpace, startSecuritySpace } from './security-space.ts';
import type { SentRequest } from './send.ts';

/** Statuses in the order of `callers`: none, wrong, other, owner, admin. */
type Statuses = readonly [none: number, wrong: number, other: number, owner: number, admin: number];

interface Row {
  readonly statuses: Statuses;
  readonly query?: string;
  /** Default: a request without a body. */
  readonly sent?: (owners: OwnersData) => SentRequest | Promise<SentRequest> | undefined;
}

type OwnersData = Awaited<ReturnType<SecuritySpace['ownersData']>>;

/** The owner alone may do it; to others what it names does not exist. */
const ownersOnly: Statuses = [401, 401, 404, 200, 404];
/** Each tenant may do it, and gets or makes what is its own. */
const eachTenant: Statuses = [401, 401, 200, 200, 200];
const anyone: Statuses = [200, 200, 200, 200, 200];
const adminsOnly: Statuses = [401, 401, 403, 403, 200];

const json = (body: unknown): SentRequest => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
});

const formOf = async (fields: Readonly<Record<string, string | File>>): Promise<SentRequest> => {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.set(name, value);
  const encoded = new Response(form);
  const headers = { 'content-type': encoded.headers.get('content-type') ?? '' };
  return { method: 'POST', headers, body: await encoded.text() };
};

const upload = async () => formOf({ purpose: 'batch', file: await inputFile(line(0)) });

const newUpload = json({
  filename: 'a.jsonl',
  purpose: 'batch',
  bytes: line(0).length,
  mime_type: 'application/jsonl',
});

const newWebhook = json({ url: 'https://example.com/', events: ['batch.completed'] });

const batchOf = ({ fileId }: OwnersData): SentRequest =>
  json({ input_file_id: fileId, endpoint: '/v1/chat/completions', completion_window: '24h' });

/** No worker runs, so a caller who may call waits as long as it said. */
const liveCall: Row = {
  statuses: [401, 401, 504, 504, 504],
  sent: () => {
    const { headers, ...sent } = json({ model: 'simulator/echo' });
    return { ...sent, headers: { ...headers, 'x-promptmill-timeout': '0.1' } };
  },
};

/** Every route, and what each caller gets. A route without a row fails the first test. */
const rows: Readonly<Record<string, Row>> = {
  'post /v1/chat/completions': liveCall,
  'post /v1/completions': liveCall,
  'post /v1/embeddings': liveCall,
  'post /v1/responses': liveCall,
  'post /v1/moderations': liveCall,
  'post /v1/images/generations': liveCall,
  'post /v1/images/edits': liveCall,
  'get /v1/responses/{response_id}': { statuses: ownersOnly },
  'post /v1/responses/{response_id}/cancel': { statuses: ownersOnly },
  'delete /v1/responses/{response_id}': { statuses: ownersOnly },
  'post /v1/files': { statuses: eachTenant, sent: upload },
  'get /v1/files': { statuses: eachTenant },
  'get /v1/files/{file_id}': { statuses: ownersOnly },
  // The owner's batch runs.
  'delete /v1/files/{file_id}': { statuses: [401, 401, 404, 409, 404] },
  'get /v1/files/{file_id}/content': { statuses: ownersOnly },
  'post /v1/files/{file_id}/preview': { statuses: ownersOnly, sent: () => json({}) },
  'post /v1/files/{file_id}/convert': { statuses: ownersOnly, sent: () => json({}) },
  'post /v1/uploads': { statuses: eachTenant, sent: () => newUpload },
  'post /v1/uploads/{upload_id}/parts': {
    statuses: ownersOnly,
    sent: async () => formOf({ data: await inputFile(line(0)) }),
  },
  'post /v1/uploads/{upload_id}/complete': {
    statuses: ownersOnly,
    sent: ({ partId }) => json({ part_ids: [partId] }),
  },
  'post /v1/uploads/{upload_id}/cancel': { statuses: ownersOnly },
  // To others the input file does not exist.
  'post /v1/batches': { statuses: [401, 401, 400, 200, 400], sent: batchOf },
  // To others the input file does not exist.
  'post /v1/batches/estimate': { statuses: [401, 401, 400, 200, 400], sent: batchOf },
  'get /v1/batches': { statuses: eachTenant },
  'get /v1/batches/{batch_id}': { statuses: ownersOnly },
  'post /v1/batches/{batch_id}/cancel': { statuses: ownersOnly },
  'post /v1/batches/{batch_id}/pause': { statuses: ownersOnly },
  'post /v1/batches/{batch_id}/resume': { statuses: ownersOnly },
  // The owner's batch runs.
  'post /v1/batches/{batch_id}/retry': { statuses: [401, 401, 404, 409, 404], sent: () => json({}) },
  'get /v1/batches/{batch_id}/results': { statuses: ownersOnly },
  'get /v1/batches/{batch_id}/failures': { statuses: ownersOnly },
  'get /v1/batches/{batch_id}/requests': { statuses: ownersOnly, query: '?indexes=0' },
  'get /v1/batches/{batch_id}/progress': { statuses: ownersOnly },
  'get /v1/batches/{batch_id}/events': { statuses: ownersOnly },
  'post /v1/webhooks': { statuses: eachTenant, sent: () => newWebhook },
  'get /v1/webhooks': { statuses: eachTenant },
  'get /v1/webhooks/{webhook_id}': { statuses: ownersOnly },
  'post /v1/webhooks/{webhook_id}': { statuses: ownersOnly, sent: () => json({ description: 'nightly' }) },
  'delete /v1/webhooks/{webhook_id}': { statuses: ownersOnly },
  'post /v1/webhooks/{webhook_id}/rotate': { statuses: ownersOnly },
  'get /v1/webhooks/{webhook_id}/deliveries': { statuses: ownersOnly },
  'post /v1/webhooks/{webhook_id}/deliveries/{delivery_id}/resend': { statuses: ownersOnly },
  'get /v1/caller': { statuses: eachTenant },
  'get /v1/lanes': { statuses: eachTenant },
  'get /v1/models': { statuses: eachTenant },
  'get /v1/models/{model}': { statuses: eachTenant },
  'get /v1/usage': { statuses: eachTenant },
  'get /v1/admin/tenants': { statuses: adminsOnly },
  'get /v1/admin/usage': { statuses: adminsOnly },
  'get /v1/admin/batches': { statuses: adminsOnly, query: '?tenant=alice' },
  'post /v1/admin/batches/{batch_id}/cancel': { statuses: adminsOnly },
  'post /v1/admin/lanes/{lane}': { statuses: adminsOnly, sent: () => json({ concurrency: 5 }) },
  'post /v1/admin/tenants/{tenant}/cancel': { statuses: adminsOnly },
  'get /livez': { statuses: anyone },
  'get /readyz': { statuses: anyone },
  'get /metrics': { statuses: eachTenant },
};

/** Nothing of a tenant's is on these pages. */
const pages: Readonly<Record<string, Statuses>> = {
  '/openapi.json': anyone,
  '/': anyone,
  '/docs/': anyone,
  '/docs/swagger-ui.css': anyone,
  // The Board has a login of its own, which no API key is.
  '/admin/queues': [401, 401, 401, 401, 401],
  '/admin/queues/api/queues': [401, 401, 401, 401, 401],
  '/admin/queues/static/images/logo.svg': [401, 401, 401, 401, 401],
  '/v1/nothing': [404, 404, 404, 404, 404],
};

let space: SecuritySpace;

beforeAll(async () => {
  space = await startSecuritySpace();
});
afterAll(() => space.api.close());

/** What each caller gets, one after another: the owner last, who may change what the others ask for. */
const statusesOf = async (path: string, sent: SentRequest) => {
  const statuses: Partial<Record<Caller, number>> = {};
  for (const caller of callers.toSorted((a, b) => Number(a === 'owner') - Number(b === 'owner')))
    statuses[caller] = (await space.sendAs(caller, path, sent)).status;
  return callers.map((caller) => [caller, statuses[caller]]);
};

const expected = (statuses: Statuses) => callers.map((caller, i) => [caller, statuses[i]]);

describe('each caller gets what it may have', () => {
  it('of every route that there is', async () => {
    const { paths } = JSON.parse((await space.send('/openapi.json')).text) as { paths: Record<string, object> };
    const routes = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`),
    );
    expect(Object.keys(rows).sort()).toEqual(routes.sort());
  });

  it.each(Object.entries(rows))('%s', async (route, { statuses, query = '', sent = () => undefined }) => {
    const [method = '', path = ''] = route.split(' ');
    const owners = await space.ownersData();
    const { fileId, uploadId, batchId, responseId, webhookId, deliveryId, tenant } = owners;
    const filled = path
      .replace('{file_id}', fileId)
      .replace('{upload_id}', uploadId)
      .replace('{batch_id}', batchId)
      .replace('{response_id}', responseId)
      .replace('{webhook_id}', webhookId)
      .replace('{delivery_id}', deliveryId)
      .replace('{tenant}', tenant)
      .replace('{lane}', 'simulator')
      .replace('{model}', 'simulator%2Fecho');
    const request = { method: method.toUpperCase(), ...(await sent(owners)) };
    expect(await statusesOf(filled + query, request)).toEqual(expected(statuses));
  });

  it.each(Object.entries(pages))('%s', async (path, statuses) => {
    expect(await statusesOf(path, {})).toEqual(expected(statuses));
  });

  it('and the Board is for who has its login', async () => {
    const basic = (password: string) => ({ authorization: `Basic ${btoa(`${board.user}:${password}`)}` });
    expect((await space.send('/admin/queues', { headers: basic(board.password) })).status).toBe(200);
    expect((await space.send('/admin/queues', { headers: basic('guessed') })).status).toBe(401);
  });
});
