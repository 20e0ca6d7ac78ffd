import { describe, expect, test } from 'vitest';
import { buildLanes, describeMissing, upstreamsOf, flexLaneOf, mayStepUp, onlyWithKeys } from './lanes.ts';
import { buildProviders, fileConfig } from './provider-config.ts';

const lanesOf = (config: unknown) =>
  buildLanes(buildProviders(fileConfig.parse(config), { SIMULATOR_BASE_URL: 'http://127.0.0.1:8089/v1' }));

const routeOf = (config: unknown, model: string): [lane: string, model: string] | undefined => {
  const route = lanesOf(config).route(model);
  return route && [route.lane.name, route.model];
};

const limited = {
  providers: {
    xai: { concurrency: 50, models: { 'grok-4': { concurrency: 3 }, 'grok-3': { requestsPerMinute: 9 } } },
    ollama: { models: { 'qwen3:8b': {}, 'hf.co/org/model:q4': {} } },
  },
};

test('each provider has a lane, and so has each model with limits of its own', () => {
  const { lanes } = lanesOf(limited);
  const own = lanes.filter(({ name }) => name.startsWith('xai') || name.startsWith('ollama'));
  expect(own.map(({ name, provider, limits }) => [name, provider.name, limits.concurrency])).toEqual([
    ['xai', 'xai', 50],
    ['xai.grok-4', 'xai', 3],
    ['xai.grok-3', 'xai', undefined],
    ['ollama', 'ollama', undefined],
    ['ollama.qwen3-8b', 'ollama', undefined],
    ['ollama.hf.co-org-model-q4', 'ollama', undefined],
  ]);
  // Those of presets with a flex tier have a second lane.
  expect(lanes).toHaveLength(14 + 4 + 2);
  // BullMQ forbids `:` in queue names.
  for (const { name } of lanes) expect(name).toMatch(/^[\w.-]+$/);
});

test.each([
  ['xai/grok-2', ['xai', 'grok-2']],
  ['xai/grok-4', ['xai.grok-4', 'grok-4']],
  ['xai/grok-4/fast', ['xai', 'grok-4/fast']],
  ['ollama/qwen3:8b', ['ollama.qwen3-8b', 'qwen3:8b']],
  ['ollama/qwen3-8b', ['ollama', 'qwen3-8b']],
  ['ollama/hf.co/org/model:q4', ['ollama.hf.co-org-model-q4', 'hf.co/org/model:q4']],
  ['openrouter/openai/gpt-5', ['openrouter', 'openai/gpt-5']],
  ['xai/constructor', ['xai', 'constructor']],
])('%s goes to %j', (model, route) => {
  expect(routeOf(limited, model)).toEqual(route);
});

test.each(['grok-4', 'unknown/grok-4', '/grok-4', 'xai/', 'xai', '', '/', 'XAI/grok-4'])(
  '%j goes nowhere without a default provider',
  (model) => {
    expect(routeOf(limited, model)).toBeUndefined();
  },
);

test.each([
  ['grok-4', ['xai.grok-4', 'grok-4']],
  ['meta/llama-4', ['xai', 'meta/llama-4']],
  ['/grok-4', ['xai', '/grok-4']],
  ['ollama/', ['xai', 'ollama/']],
  ['openai/gpt-5', ['openai', 'gpt-5']],
])('with a default provider, %s goes to %j', (model, route) => {
  expect(routeOf({ ...limited, defaultProvider: 'xai' }, model)).toEqual(route);
});

test.each(['constructor/x', '__proto__/x', 'toString/x', 'hasOwnProperty/x'])(
  '%s names no provider, though every object has such a property',
  (model) => {
    expect(routeOf(limited, model)).toBeUndefined();
    expect(routeOf({ ...limited, defaultProvider: 'openai' }, model)).toEqual(['openai', model]);
  },
);

test('two models that would share a lane are refused', () => {
  const models = { 'org/model': {}, 'org:model': {} };
  expect(() => lanesOf({ providers: { vllm: { models } } })).toThrow(
    expect.objectContaining({ code: 'invalid_config', message: expect.stringContaining('vllm.org-model') }),
  );
});

test.each(['batches', 'finalize'])('a provider may not have the name of the queue %s', (name) => {
  expect(() => lanesOf({ providers: { [name]: { baseUrl: 'http://127.0.0.1:1/v1' } } })).toThrow(
    expect.objectContaining({ code: 'invalid_config', message: expect.stringContaining(name) }),
  );
});

test('a model of a preset that is not configured says which variable to set', () => {
  const table = lanesOf({});
  expect(table.route('vllm/any')).toBeUndefined();
  expect(describeMissing(table, 'vllm/any')).toContain('VLLM_BASE_URL is not set');
  expect(describeMissing(table, 'nobody/any')).toContain('Name one as provider/model');
  expect(describeMissing(table, 'constructor/any')).toContain('Name one as provider/model');
});

test('a process that is alone takes no model whose key is missing', () => {
  const table = onlyWithKeys(buildLanes(buildProviders(fileConfig.parse({}), { XAI_API_KEY: 'key' })));
  expect(table.route('xai/grok-4')?.lane.name).toBe('xai');
  expect(table.route('openai/gpt-5')).toBeUndefined();
  expect(describeMissing(table, 'openai/gpt-5')).toContain('OPENAI_API_KEY is not set');
});

const fallbackOf = (config: unknown, lane: string) => lanesOf(config).lanes.find(({ name }) => name === lane)?.fallback;

test('a model has its own fallback, else its provider’s', () => {
  const models = { own: { fallback: ['izzi/b'] }, inherited: {}, none: { fallback: [] } };
  const config = { providers: { xai: { fallback: ['openai/a'], models }, openai: { fallback: ['xai/c'] } } };
  expect(fallbackOf(config, 'xai.own')).toEqual(['izzi/b']);
  expect(fallbackOf(config, 'xai.inherited')).toEqual(['openai/a']);
  expect(fallbackOf(config, 'xai.none')).toEqual([]);
  expect(fallbackOf(config, 'xai')).toEqual(['openai/a']);
  expect(fallbackOf(config, 'openai')).toEqual(['xai/c']);
  expect(fallbackOf(config, 'izzi')).toEqual([]);
});

test.each([
  ['leads nowhere', ['nobody/a'], 'nobody/a'],
  ['leads to a preset that is not configured', ['ollama/a'], 'ollama/a; set OLLAMA_BASE_URL'],
  ['leads back', ['xai/other'], 'xai/other leads back to the lane xai'],
  ['passes a lane twice', ['openai/a', 'openai/b'], 'openai/b leads back to the lane openai'],
])('a fallback that %s is refused', (_, fallback, message) => {
  expect(() => lanesOf({ providers: { xai: { fallback } } })).toThrow(
    expect.objectContaining({ code: 'invalid_config', message: expect.stringContaining(message) }),
  );
});

const flexConfig = {
  providers: {
    simulator: {
      timeoutMs: 5000,
      firstByteTimeoutMs: 1000,
      requestsPerMinute: 60,
      fallback: ['xai/a'],
      flex: { requestsPerMinute: 600 },
      models: { own: { flex: { concurrency: 3, timeoutMs: 7000 } }, shared: { concurrency: 2 } },
    },
    xai: { tiers: ['flex'] },
  },
};

test('a flex lane has limits and a time of its own, and the fallbacks of its standard lane; models without one share it', () => {
  const table = lanesOf(flexConfig);
  const flex = table.lanes.filter(({ tier }) => tier === 'flex');
  expect(flex.map(({ name, limits, provider }) => [name, limits.concurrency, provider.timeoutMs])).toEqual([
    ['xai.flex', undefined, 900_000],
    ['openai.flex', undefined, 900_000],
    ['groq.flex', undefined, 900_000],
    ['simulator.flex', undefined, 900_000],
    ['simulator.own.flex', 3, 7000],
  ]);
  const [shared, own] = [table.route('simulator/shared')?.lane, table.route('simulator/own')?.lane];
  expect([shared?.flex?.name, own?.flex?.name]).toEqual(['simulator.flex', 'simulator.own.flex']);
  expect(shared?.flex).toMatchObject({ fallback: ['xai/a'], limits: { requests: { count: 600 } } });
  expect(shared?.provider.firstByteTimeoutMs).toBe(1000);
  expect(shared?.flex?.provider).not.toHaveProperty('firstByteTimeoutMs');
  expect(table.route('mistral/a')?.lane.flex).toBeUndefined();
});

test.each([
  ['names no tier, in a batch that asks for flex', 'simulator/a', '/v1/chat/completions', {}, 'flex', 'simulator.flex'],
  ['asks for flex itself', 'simulator/a', '/v1/responses', { service_tier: 'flex' }, 'standard', 'simulator.flex'],
  ['names another tier', 'simulator/a', '/v1/responses', { service_tier: 'priority' }, 'flex', undefined],
  ['is an embedding', 'simulator/a', '/v1/embeddings', {}, 'flex', undefined],
  ['has a model without flex', 'mistral/a', '/v1/responses', { service_tier: 'flex' }, 'flex', undefined],
  ['leaves it to the configuration, which says flex', 'xai/a', '/v1/responses', {}, undefined, 'xai.flex'],
  ['leaves it to the configuration, which says nothing', 'openai/a', '/v1/responses', {}, undefined, undefined],
] as const)('a request that %s', (_, model, url, more, asked, lane) => {
  const found = lanesOf(flexConfig).route(model)?.lane;
  if (!found) throw new Error(`no lane for ${model}`);
  expect(flexLaneOf(found, { url, body: { model, ...more } }, asked)?.name).toBe(lane);
});

test('requests step up where the configuration does not name flex alone', () => {
  const mayOf = (model: string): boolean | undefined => {
    const lane = lanesOf(flexConfig).route(model)?.lane;
    return lane && mayStepUp(lane);
  };
  expect([mayOf('xai/a'), mayOf('simulator/a')]).toEqual([false, true]);
});

describe('deployments', () => {
  const config = {
    providers: {
      azure: {
        requestsPerMinute: 900,
        timeoutMs: 5000,
        deployments: {
          east: { baseUrl: 'https://east.example/v1', apiKeyEnv: 'EAST_API_KEY', requestsPerMinute: 600 },
          west: { baseUrl: 'https://west.example/v1', apiKeyEnv: 'WEST_API_KEY', concurrency: 3 },
        },
        models: {
          'gpt-5': { deployments: { east: { model: 'gpt-5-east', tokensPerMinute: 9 }, west: { model: 'mine' } } },
          'gpt-6': { concurrency: 2 },
        },
      },
      lab: {
        baseUrl: 'https://lab.example/v1',
        apiKeyEnv: 'LAB_API_KEY',
        deployments: { first: {}, second: { apiKeyEnv: 'LAB_2_API_KEY' } },
      },
    },
  };
  const env = { EAST_API_KEY: 'e', LAB_API_KEY: 'l', SIMULATOR_BASE_URL: 'http://127.0.0.1:8089/v1' };
  const table = buildLanes(buildProviders(fileConfig.parse(config), env));
  const laneOf = (model: string) => table.route(model)?.lane;
  const shown = (model: string) =>
    laneOf(model)?.deployments.map(({ name, provider: { baseUrl, apiKey }, limits, model: own }) => [
      name,
      baseUrl,
      apiKey,
      limits,
      own,
    ]);

  test('have base URLs, keys and limits of their own; the limits of their provider are of all together', () => {
    expect(shown('azure/any')).toEqual([
      ['azure@east', 'https://east.example/v1', 'e', { requests: { count: 600, windowMs: 60_000 } }, undefined],
      ['azure@west', 'https://west.example/v1', undefined, { concurrency: 3 }, undefined],
    ]);
    expect(laneOf('azure/any')?.limits).toEqual({ requests: { count: 900, windowMs: 60_000 } });
    expect(laneOf('azure/any')?.deployments[0]?.provider).toMatchObject({ name: 'azure', timeoutMs: 5000 });
    expect(shown('lab/any')).toEqual([
      ['lab@first', 'https://lab.example/v1', 'l', {}, undefined],
      ['lab@second', 'https://lab.example/v1', undefined, {}, undefined],
    ]);
  });

  test('of a model with a lane of its own have names of their own for it, else they are its provider’s', () => {
    expect(shown('azure/gpt-5')).toEqual([
      ['azure.gpt-5@east', 'https://east.example/v1', 'e', { tokensPerMinute: 9 }, 'gpt-5-east'],
      ['azure.gpt-5@west', 'https://west.example/v1', undefined, {}, 'mine'],
    ]);
    expect(shown('azure/gpt-6')?.map(([name]) => name)).toEqual(['azure.gpt-6@east', 'azure.gpt-6@west']);
    expect(shown('openai/gpt-5')).toEqual([]);
  });

  test('need one key of theirs, and the first is named where none is set', () => {
    const without = onlyWithKeys(buildLanes(buildProviders(fileConfig.parse(config), { LAB_2_API_KEY: 'l' })));
    expect([onlyWithKeys(table).route('azure/any')?.model, without.route('lab/any')?.model]).toEqual(['any', 'any']);
    expect([without.route('azure/any'), without.missingVariable('azure/any')]).toEqual([undefined, 'EAST_API_KEY']);
  });

  test('hold a lane together', () => {
    expect(upstreamsOf(table, 'azure')).toEqual(['azure@east', 'azure@west']);
    expect([upstreamsOf(table, 'openai'), upstreamsOf(table, 'gone')]).toEqual([['openai'], ['gone']]);
  });

  test.each([
    [
      'a base URL that is nowhere',
      { mine: { deployments: { a: {} } } },
      /providers\.mine\.deployments\.a: baseUrl is missing/,
    ],
    [
      'a preset’s key at another host',
      { lab: { deployments: { a: { baseUrl: 'https://evil.example/v1', apiKeyEnv: 'OPENAI_API_KEY' } } } },
      /providers\.lab\.deployments\.a: OPENAI_API_KEY goes to api\.openai\.com only/,
    ],
    [
      'a preset’s own key at another host',
      { openai: { deployments: { a: { baseUrl: 'https://evil.example/v1' } } } },
      /providers\.openai\.deployments\.a: OPENAI_API_KEY goes to api\.openai\.com only/,
    ],
    [
      'a local preset’s key at another host',
      { vllm: { deployments: { a: { baseUrl: 'https://evil.example/v1', apiKeyEnv: 'VLLM_API_TOKEN' } } } },
      /providers\.vllm\.deployments\.a: apiKeyEnv: a file that PROMPTMILL_CONFIG does not name/,
    ],
    [
      'the key of something else',
      { openai: { models: { m: { deployments: { a: { apiKeyEnv: 'AWS_SECRET' } } } } } },
      /providers\.openai\.models\.m\.deployments\.a: apiKeyEnv: AWS_SECRET is not/,
    ],
  ])('are refused with %s', (_, providers, message) => {
    expect(() => lanesOf({ providers })).toThrow(message);
  });

  test('of a local preset get its key only where the preset is', () => {
    const given = { vllm: { deployments: { here: {}, there: { baseUrl: 'https://there.example/v1' } } } };
    const local = { VLLM_BASE_URL: 'http://gpu:8000/v1', VLLM_API_KEY: 'key' };
    const { deployments = [] } =
      buildLanes(buildProviders(fileConfig.parse({ providers: given }), local)).route('vllm/m')?.lane ?? {};
    expect(deployments.map(({ provider }) => provider.apiKey)).toEqual(['key', undefined]);
  });

  test.each([
    ['none', {}],
    ['a name for all models', { a: { model: 'm' } }],
    ['a name that is none', { 'a@b': {} }],
  ])('of a provider are not written as %s', (_, deployments) => {
    expect(fileConfig.safeParse({ providers: { openai: { deployments } } }).success).toBe(false);
  });
});

test('a flex lane has the deployments of its standard lane, without their limits', () => {
  const deployments = { a: { concurrency: 3 }, b: { apiKeyEnv: 'B_API_KEY' } };
  const { lanes } = lanesOf({ providers: { openai: { deployments, flex: { requestsPerMinute: 60 } } } });
  const flex = lanes.find(({ name }) => name === 'openai.flex');
  expect(flex?.deployments.map(({ name, limits, provider }) => [name, limits, provider.timeoutMs])).toEqual([
    ['openai.flex@a', {}, 900_000],
    ['openai.flex@b', {}, 900_000],
  ]);
  expect(lanes.find(({ name }) => name === 'openai')?.deployments[0]?.limits).toEqual({ concurrency: 3 });
});
