import { baseUrlEnvOf, presets } from '@promptmill/core';
import { loadConfig } from '@promptmill/runtime';
import { describe, expect, it } from 'vitest';
import { configText } from './config-text.ts';

const load = (text: string, env: Record<string, string> = {}) =>
  loadConfig({ ...env, PROMPTMILL_CONFIG: 'promptmill.yaml' }, { readFile: () => text });

describe('the promptmill.yaml of init', () => {
  it.each(Object.keys(presets))('is a configuration for %s, which needs nothing more', (name) => {
    const { baseUrl, exampleUrl } = presets[name] ?? {};
    const { lanes } = load(configText([name]), exampleUrl ? { [baseUrlEnvOf(name)]: exampleUrl } : {});
    expect(lanes.route('any-model')?.lane.provider).toMatchObject({ name, baseUrl: baseUrl ?? exampleUrl });
  });

  it('changes no default', () => {
    const { retry, tenants } = load('{}');
    const text = configText(['xai', 'ollama']);
    expect(load(text)).toMatchObject({ retry, tenants });
    const laneOf = (yaml: string) => load(yaml, { XAI_API_KEY: 'k' }).lanes.route('xai/any')?.lane;
    expect(laneOf(text)).toEqual(laneOf('{}'));
  });

  it('shows settings that hold once their # is removed', () => {
    const text = configText(['xai']).replaceAll(/^( *)# ([\w-]+: ?\S.*|[\w-]+:|  +[\w-]+:.*)$/gm, '$1$2');
    expect(text).not.toContain('# lab:');
    const { lanes, tenants } = load(text, { LAB_API_KEY: 'k' });
    expect(lanes.route('xai/any')?.lane.limits).toMatchObject({ concurrency: 50 });
    expect(lanes.route('xai/name-of-a-model')?.lane.limits).toMatchObject({ concurrency: 10 });
    expect(lanes.route('lab/any')?.lane.provider.baseUrl).toBe('http://10.0.0.12:8000/v1');
    expect(tenants['default']).toMatchObject({ activeBatches: 50 });
  });
});
