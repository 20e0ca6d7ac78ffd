import type { Endpoint } from '@promptmill/core';
import { expect, it } from 'vitest';
import { hasAnswerShape } from './answer-shape.ts';

it.each<[Endpoint, unknown]>([
  ['/v1/chat/completions', { choices: [{ message: { role: 'assistant', content: null } }] }],
  ['/v1/completions', { choices: [{ text: '' }] }],
  ['/v1/embeddings', { data: [{ embedding: [0.1] }] }],
  ['/v1/responses', { object: 'response', output: [] }],
  ['/v1/moderations', { results: [{ flagged: false }] }],
  ['/v1/images/generations', { created: 1, data: [{ b64_json: 'AA==' }] }],
  ['/v1/images/edits', { data: [{ url: 'https://images.example/1.png' }] }],
])('%s takes %j', (url, body) => expect(hasAnswerShape(url, body)).toBe(true));

it.each<[Endpoint, unknown]>([
  ['/v1/chat/completions', undefined],
  ['/v1/chat/completions', null],
  ['/v1/chat/completions', '<html>'],
  ['/v1/chat/completions', []],
  ['/v1/chat/completions', { error: { message: 'upstream failed' } }],
  ['/v1/chat/completions', { choices: [] }],
  ['/v1/images/generations', { data: [] }],
  ['/v1/images/generations', { data: [{ revised_prompt: 'x' }] }],
  ['/v1/chat/completions', { choices: [{ message: {} }, { message: null }] }],
  ['/v1/chat/completions', { choices: [{ message: [] }] }],
  ['/v1/chat/completions', { choices: [{ text: 'of another endpoint' }] }],
  ['/v1/completions', { choices: [{ text: 1 }] }],
  ['/v1/embeddings', { data: {} }],
  ['/v1/responses', { output: [] }],
  ['/v1/responses', { object: 'response' }],
  ['/v1/moderations', {}],
])('%s refuses %j', (url, body) => expect(hasAnswerShape(url, body)).toBe(false));
