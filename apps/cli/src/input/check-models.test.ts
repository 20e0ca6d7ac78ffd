import { buildLanes, buildProviders, fileConfig } from '@promptmill/core';
import { describe, expect, it } from 'vitest';
import { checkModels } from './check-models.ts';

const lanes = buildLanes(
  buildProviders(fileConfig.parse({}), { SIMULATOR_BASE_URL: 'http://simulator:8089/v1', OPENAI_API_KEY: 'key' }),
);

describe('checkModels', () => {
  it('returns the providers of models that can be called', () => {
    expect(checkModels(['openai/gpt-4.1', 'openai/o4-mini', 'simulator/echo'], lanes)).toEqual(
      new Set(['openai', 'simulator']),
    );
  });

  it('says which key is missing', () => {
    expect(() => checkModels(['simulator/echo', 'xai/grok-4'], lanes)).toThrow(/^XAI_API_KEY is not set: xai\/grok-4/);
  });

  it('says which base URL is missing', () => {
    expect(() => checkModels(['azure/gpt'], lanes)).toThrow(
      /^AZURE_BASE_URL is not set: azure\/gpt needs it; export AZURE_BASE_URL=https:\/\/RESOURCE\.openai/,
    );
    expect(() => checkModels(['vllm/a'], lanes)).toThrow(/VLLM_BASE_URL=http:.* or name the provider/);
  });

  it('says how to name a model that no provider takes', () => {
    expect(() => checkModels(['grok-4'], lanes)).toThrow(/such as xai\/grok-4/);
  });
});
