import { describe, expect, it } from 'vitest';
import { batchBodyOf, conversionOf, createDraftStore, emptyDraft } from './draft.ts';

describe('conversionOf', () => {
  it('says nothing of what was left empty', () => {
    expect(conversionOf(emptyDraft)).toEqual({});
  });

  it('has what was typed, as the API takes it', () => {
    const draft = {
      ...emptyDraft,
      format: 'csv' as const,
      model: ' xai/grok-4.3 ',
      prompt: 'Rate {{review}}',
      system: 'Be brief.',
      idColumn: 'id',
      maxTokens: '50',
      temperature: '0',
      params: '{"top_p": 0.9}',
    };
    expect(conversionOf(draft)).toEqual({
      format: 'csv',
      model: 'xai/grok-4.3',
      prompt: 'Rate {{review}}',
      system: 'Be brief.',
      id_column: 'id',
      params: { top_p: 0.9, max_tokens: 50, temperature: 0 },
    });
  });

  it('calls max tokens what the endpoint calls them', () => {
    expect(conversionOf({ ...emptyDraft, endpoint: '/v1/responses', maxTokens: '5' })).toEqual({
      endpoint: '/v1/responses',
      params: { max_output_tokens: 5 },
    });
  });

  it.each([
    [{ params: '[1]' }, 'JSON object'],
    [{ params: '{' }, 'JSON object'],
    [{ maxTokens: '1.5' }, 'whole number'],
    [{ temperature: '3' }, 'from 0 to 2'],
  ])('says what is wrong with %o', (typed, problem) => {
    expect(conversionOf({ ...emptyDraft, ...typed })).toEqual({ problem: expect.stringContaining(problem) });
  });
});

it('a batch is named after its file unless a name was typed', () => {
  const draft = { ...emptyDraft, source: { fileId: 'file-0', name: 'reviews.csv', bytes: 9 } };
  const body = { input_file_id: 'file-1', endpoint: '/v1/embeddings', completion_window: '24h' };
  expect(batchBodyOf(draft, 'file-1', '/v1/embeddings')).toEqual({ ...body, metadata: { name: 'reviews.csv' } });
  expect(batchBodyOf({ ...draft, name: 'Ratings', maxCost: '5' }, 'file-1', '/v1/embeddings')).toEqual({
    ...body,
    metadata: { name: 'Ratings' },
    promptmill: { max_cost: 5 },
  });
});

it('a draft is kept, and fields that are newer than it are empty', () => {
  const kept = new Map<string, string>();
  const store = createDraftStore({
    getItem: (name) => kept.get(name) ?? null,
    setItem: (name, value) => void kept.set(name, value),
    removeItem: (name) => void kept.delete(name),
  });
  expect(store.read()).toEqual(emptyDraft);
  store.write({ ...emptyDraft, prompt: 'Rate {{review}}' });
  expect(store.read()).toEqual({ ...emptyDraft, prompt: 'Rate {{review}}' });
  store.clear();
  expect(kept.size).toBe(0);
});
