import { readFileSync } from 'node:fs';
import { baseUrlEnvOf, buildProviders, fileConfig, presets } from '@promptmill/core';
import { expect, test } from 'vitest';
import { createPriceList } from './price-list.ts';

const text = readFileSync(new URL('../../../docs/configuration.md', import.meta.url), 'utf8');
/** Of each row: what is in backticks in its cells. */
const rows = text
  .slice(text.indexOf('\n| Models | Variable |'))
  .split('\n\n', 1)[0]!
  .split('\n')
  .slice(3)
  .map((line) => line.split('|').map((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code)));
const { providers } = buildProviders(fileConfig.parse({ providers: { vllm: {}, ollama: {}, simulator: {} } }), {
  AZURE_BASE_URL: 'https://mine.openai.azure.com/openai/v1',
});

test('docs/configuration.md has each preset with the variables that it needs', () => {
  const documented = rows.flatMap(([, models = [], variables = []]) =>
    models.map((model) => [model.replace('/…', ''), variables] as const),
  );
  expect(documented.map(([name]) => name).sort()).toEqual(Object.keys(presets).sort());
  const needed = documented.filter(([name]) => !presets[name]?.isLocal);
  expect(needed.map(([, variables]) => variables)).toEqual(
    needed.map(([name]) => {
      const { baseUrl, apiKeyEnv } = presets[name]!;
      return baseUrl === undefined ? [apiKeyEnv, baseUrlEnvOf(name)] : [apiKeyEnv];
    }),
  );
});

// A name that no list of public prices has is one that its provider never had, or dropped long ago.
const examples = rows
  .flatMap(([, , , models = []]) => models)
  .filter((model) => !/^(azure|simulator)\//.test(model))
  .map((model) => [model.slice(0, model.indexOf('/')), model.slice(model.indexOf('/') + 1)] as const);
const priceList = createPriceList();

test.each(examples)('%s/%s, its example, has a public price', async (name, model) => {
  expect(await priceList.pricesOf(providers[name]!, { model })).toBeDefined();
});
