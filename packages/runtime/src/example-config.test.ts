import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { fileConfig } from '@promptmill/core';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { loadConfig } from './config.ts';

const path = fileURLToPath(new URL('../../../examples/promptmill.yaml', import.meta.url));
const text = readFileSync(path, 'utf8');

/** The names of all options, at every depth. */
const optionsOf = (schema: z.core.JSONSchema.BaseSchema | boolean | undefined): string[] => {
  if (typeof schema !== 'object') return [];
  const own = Object.entries(schema.properties ?? {});
  const inner = own.flatMap(([name, value]) => optionsOf(value).concat(name));
  return inner.concat(optionsOf(schema.additionalProperties));
};

test('the example shows every option, with its default', () => {
  const options = new Set(optionsOf(z.toJSONSchema(fileConfig, { io: 'input' })));
  expect(options.size).toBeGreaterThan(18);
  for (const group of ['providers', 'models', 'retry', 'tenants', 'webhooks']) {
    expect(text).toMatch(new RegExp(`^ *${group}:`, 'm'));
    options.delete(group);
  }
  for (const option of options)
    expect(text).toMatch(new RegExp(`^ *${option}: .*\\(default: |\\(default: .*\\)\\n *${option}: `, 'm'));
});

test('the example is a configuration, and its defaults are those of the code', () => {
  const { lanes, retry } = loadConfig({ PROMPTMILL_CONFIG: path });
  expect(retry).toEqual(fileConfig.parse({}).retry);
  const lab = lanes.route('lab/any')?.lane;
  const preset = lanes.route('openai/any')?.lane.provider;
  expect(lab).toMatchObject({
    limits: { requests: { count: 10, windowMs: 1000 } },
    provider: { timeoutMs: preset?.timeoutMs, probeIntervalMs: preset?.probeIntervalMs, apiKeyEnv: 'LAB_API_KEY' },
  });
  const { lab: written } = (parse(text) as { providers: Record<string, Record<string, unknown>> }).providers;
  expect(written).toMatchObject({ firstByteTimeoutMs: written?.['timeoutMs'], idleTimeoutMs: 60_000 });
  expect(lanes.route('grok-4.3')).toMatchObject({
    model: 'grok-4.3',
    lane: {
      name: 'xai.grok-4.3',
      limits: { concurrency: 10 },
      fallback: ['openai/gpt-6-luna', 'izzi/claude-sonnet-5'],
    },
  });
});
