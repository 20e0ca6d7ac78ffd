import { expect, it } from 'vitest';
import { laneOf } from './lane-of.ts';

it.each([
  ['xai/grok-4', 'xai.grok-4'],
  ['xai/grok-3', 'xai'],
  ['ollama/llama3:8b', 'ollama.llama3-8b'],
  ['nobody/model', undefined],
])('%s is in the lane %s', (model, lane) => {
  expect(laneOf(model, ['xai', 'xai.grok-4', 'ollama', 'ollama.llama3-8b'])).toBe(lane);
});
