import { expect, it } from 'vitest';
import { hrefOf, parseRoute } from './route.ts';

it.each([
  ['', { name: 'batches' }],
  ['#/batches', { name: 'batches' }],
  ['#/batches/batch_0a', { name: 'batch', id: 'batch_0a' }],
  ['#/new-batch', { name: 'new-batch' }],
  ['#/batches/<script>', { name: 'batches' }],
  ['#/lanes', { name: 'lanes' }],
  ['#/use', { name: 'use' }],
  ['#/webhooks', { name: 'webhooks' }],
  ['#/nothing', { name: 'batches' }],
])('%s leads to %o', (hash, route) => {
  expect(parseRoute(hash)).toEqual(route);
});

it('a link leads back to its route', () => {
  const route = { name: 'batch', id: 'batch_0a' } as const;
  expect(parseRoute(hrefOf(route))).toEqual(route);
});
