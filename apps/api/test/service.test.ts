import { Validator } from '@seriousme/openapi-schema-validator';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { inputFile, line, lines } from './support/input.ts';
import { board, keyless, startTestApi, type TestApi } from './support/test-api.ts';

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi({ redisUrl: inject('redisUrl') });
});
afterAll(() => api.close());

const get = (route: string, headers: Readonly<Record<string, string>> = {}) => fetch(api.url + route, { headers });

/** Reads the whole answer, so that its connection is free. */
const statusOf = async (route: string, headers: Readonly<Record<string, string>> = {}): Promise<number> => {
  const response = await get(route, headers);
  await response.arrayBuffer();
  return response.status;
};

describe('OpenAPI', () => {
  it('is a valid document of every route', async () => {
    const document = (await (await get('/openapi.json')).json()) as { paths: Record<string, object> };
    expect(await new Validator().validate(structuredClone(document))).toEqual({ valid: true });
    const routes = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`),
    );
    expect(routes.sort()).toEqual([
      'delete /v1/files/{file_id}',
      'delete /v1/responses/{response_id}',
      'delete /v1/webhooks/{webhook_id}',
      'get /livez',
      'get /metrics',
      'get /readyz',
      'get /v1/admin/batches',
      'get /v1/admin/tenants',
      'get /v1/admin/usage',
      'get /v1/batches',
      'get /v1/batches/{batch_id}',
      'get /v1/batches/{batch_id}/events',
      'get /v1/batches/{batch_id}/failures',
      'get /v1/batches/{batch_id}/progress',
      'get /v1/batches/{batch_id}/requests',
      'get /v1/batches/{batch_id}/results',
      'get /v1/caller',
      'get /v1/files',
      'get /v1/files/{file_id}',
      'get /v1/files/{file_id}/content',
      'get /v1/lanes',
      'get /v1/models',
      'get /v1/models/{model}',
      'get /v1/responses/{response_id}',
      'get /v1/usage',
      'get /v1/webhooks',
      'get /v1/webhooks/{webhook_id}',
      'get /v1/webhooks/{webhook_id}/deliveries',
      'post /v1/admin/batches/{batch_id}/cancel',
      'post /v1/admin/lanes/{lane}',
      'post /v1/admin/tenants/{tenant}/cancel',
      'post /v1/batches',
      'post /v1/batches/estimate',
      'post /v1/batches/{batch_id}/cancel',
      'post /v1/batches/{batch_id}/pause',
      'post /v1/batches/{batch_id}/resume',
      'post /v1/batches/{batch_id}/retry',
      'post /v1/chat/completions',
      'post /v1/completions',
      'post /v1/embeddings',
      'post /v1/files',
      'post /v1/files/{file_id}/convert',
      'post /v1/files/{file_id}/preview',
      'post /v1/images/edits',
      'post /v1/images/generations',
      'post /v1/moderations',
      'post /v1/responses',
      'post /v1/responses/{response_id}/cancel',
      'post /v1/uploads',
      'post /v1/uploads/{upload_id}/cancel',
      'post /v1/uploads/{upload_id}/complete',
      'post /v1/uploads/{upload_id}/parts',
      'post /v1/webhooks',
      'post /v1/webhooks/{webhook_id}',
      'post /v1/webhooks/{webhook_id}/deliveries/{delivery_id}/resend',
      'post /v1/webhooks/{webhook_id}/rotate',
    ]);
  });

  it('has a page to read it on, which loads nothing from elsewhere', async () => {
    const page = await get('/docs/');
    expect(page.headers.get('content-security-policy')).toContain("default-src 'self'");
    const html = await page.text();
    expect(html).toContain('swagger-ui');
    expect(html).not.toMatch(/(?:src|href)="https?:/);
    for (const asset of ['swagger-ui-bundle.js', 'swagger-ui.css', 'swagger-initializer.js'])
      expect(await statusOf(`/docs/${asset}`)).toBe(200);
    expect(await (await get('/docs/swagger-initializer.js')).text()).toContain("url: '/openapi.json'");
  });
});

describe('every answer', () => {
  it('has a request id: the caller’s where it is sane, else a new one', async () => {
    expect((await get('/livez')).headers.get('x-request-id')).toMatch(/^req_[0-9a-f]{32}$/);
    expect((await get('/nowhere', { 'x-request-id': 'run-7:3' })).headers.get('x-request-id')).toBe('run-7:3');
    expect((await get('/livez', { 'x-request-id': 'a b' })).headers.get('x-request-id')).toMatch(/^req_/);
  });

  it('is an error in the shape of OpenAI for what is not there', async () => {
    const response = await api.request('/v1/nothing', { method: 'POST' });
    expect(response.status).toBe(404);
    expect(await response.json()).toEqual({
      error: {
        message: 'Unknown request URL: POST /v1/nothing.',
        type: 'invalid_request_error',
        param: null,
        code: 'unknown_url',
      },
    });
  });

  it('does not tell what the server runs on', async () => {
    const { headers } = await get('/v1/models');
    expect(headers.get('x-powered-by')).toBeNull();
    expect(headers.get('x-content-type-options')).toBe('nosniff');
  });
});

it('counts requests by route, never by path', async () => {
  await api.request('/v1/files/file-1');
  const text = await (await api.request('/metrics')).text();
  expect(text).toContain(
    'promptmill_http_requests_total{method="GET",route="/v1/files/{file_id}",status="404",role="api"} 1',
  );
  expect(text).not.toContain('file-1');
});

it('lists models', async () => {
  const { data } = await api.alice.models.list();
  const model = { object: 'model', created: expect.any(Number), owned_by: 'simulator' };
  expect(data).toEqual([
    { ...model, id: 'simulator/json' },
    { ...model, id: 'simulator/echo' },
  ]);
});

it.each(['simulator/echo', 'simulator/any/one'])('retrieves the model %s', async (name) => {
  const found = { id: name, object: 'model', created: expect.any(Number), owned_by: 'simulator' };
  expect(await api.alice.models.retrieve(name)).toEqual(found);
  // As a person types it, with its slashes as they are.
  expect(await (await api.request(`/v1/models/${name}`)).json()).toEqual(found);
});

it('has no model that no provider takes', async () => {
  for (const name of ['gpt-none', 'nobody/grok-4', 'simulator/'])
    await expect(api.alice.models.retrieve(name)).rejects.toMatchObject({
      status: 404,
      code: 'model_not_found',
      type: 'invalid_request_error',
      param: 'model',
      message: `404 The model '${name}' does not exist or you do not have access to it.`,
    });
});

describe('Bull Board', () => {
  const login = { authorization: `Basic ${btoa(`${board.user}:${board.password}`)}` };

  it('asks for a login', async () => {
    for (const headers of [{}, { authorization: `Basic ${btoa(`${board.user}:wrong`)}` }]) {
      const response = await get('/admin/queues/', headers);
      expect(response.status).toBe(401);
      expect(response.headers.get('www-authenticate')).toContain('Basic realm=');
    }
    expect(await statusOf('/admin/queues/api/queues')).toBe(401);
  });

  it('shows the page under its own content policy', async () => {
    const response = await get('/admin/queues/', login);
    expect(response.status).toBe(200);
    expect(await response.text()).toContain('<title>Promptmill</title>');
    expect(response.headers.get('content-security-policy')).toContain("style-src 'self' 'unsafe-inline'");
  });

  it('shows the batches and the lanes in use, with prompts cut short', async () => {
    const secret = 'the end of a long prompt';
    const body = { model: 'simulator/echo', messages: [{ role: 'user', content: 'x'.repeat(1000) + secret }] };
    const file = await inputFile(lines(3) + line(3, { body }));
    const { id: input_file_id } = await api.alice.files.create({ file, purpose: 'batch' });
    const endpoint = '/v1/chat/completions';
    const { id } = await api.alice.batches.create({ input_file_id, endpoint, completion_window: '24h' });
    await expect
      .poll(() => api.alice.batches.retrieve(id))
      .toMatchObject({ status: 'in_progress', request_counts: { total: 4 } });

    interface Shown {
      readonly queues: {
        readonly name: string;
        readonly readOnlyMode: boolean;
        readonly jobs: { readonly id: string; readonly externalUrl?: { readonly href: string } }[];
      }[];
    }
    const shown = async (queue: string) => {
      const response = await get(`/admin/queues/api/queues?activeQueue=${queue}&page=1&jobsPerPage=10`, login);
      return (await response.json()) as Shown;
    };
    const { queues } = await shown('batches');
    expect(queues.map(({ name }) => name)).toEqual(['batches', 'simulator', 'webhooks']);
    expect(queues.every(({ readOnlyMode }) => readOnlyMode)).toBe(true);
    const job = queues.find(({ name }) => name === 'batches')?.jobs.find((each) => each.id === id);
    expect(job?.externalUrl?.href).toBe(`/#/batches/${id}`);

    await expect.poll(async () => JSON.stringify(await shown('simulator'))).toContain(`${id}-3`);
    const lane = JSON.stringify(await shown('simulator'));
    expect(lane).toContain('characters more');
    expect(lane).not.toContain(secret);
  });

  it('lets nobody change anything', async () => {
    for (const [method, route] of [
      ['PUT', '/api/queues/batches/empty'],
      ['PUT', '/api/queues/pause'],
      ['POST', '/api/queues/batches/add'],
    ] as const) {
      const response = await fetch(`${api.url}/admin/queues${route}`, { method, headers: login });
      expect(response.status).toBe(405);
      await response.arrayBuffer();
    }
  });
});

it('without keys every caller is the tenant local, and the api listens on no other address', async () => {
  const redisUrl = inject('redisUrl');
  const local = await startTestApi({ redisUrl, env: keyless });
  expect((await fetch(`${local.url}/v1/files`)).status).toBe(200);
  expect((await local.clientOf('anything').files.list()).data).toEqual([]);
  expect((await fetch(`${local.url}/admin/queues/`)).status).toBe(200);
  await local.close();
  await expect(startTestApi({ redisUrl, env: { ...keyless, HOST: '0.0.0.0' } })).rejects.toThrow(/PROMPTMILL_API_KEYS/);
});
