import { expect, it } from 'vitest';
import { replaceSlice } from './replace-slice.ts';

const known = (ids: string, hasMore = true) => ({ items: ids.split('').map((id) => ({ id, was: true })), hasMore });
const fresh = (ids: string, hasMore = true) => ({ items: ids.split('').map((id) => ({ id, was: false })), hasMore });
/** Fresh items are in capitals. */
const text = ({ items, hasMore }: ReturnType<typeof replaceSlice<{ id: string; was: boolean }>>): string =>
  items.map(({ id, was }) => (was ? id : id.toUpperCase())).join('') + (hasMore ? '…' : '');

it.each([
  ['what is on the screen is taken anew', known('abcdef'), 'b', fresh('cd'), 'abCDef…'],
  ['what is new comes in at the top', known('abc'), undefined, fresh('xab'), 'XABc…'],
  ['what is gone goes', known('abcdef'), 'a', fresh('bd'), 'aBDef…'],
  ['more news than were asked for: the rest is loaded again', known('abc'), undefined, fresh('xyz'), 'XYZ…'],
  ['the end of the list', known('abcd'), 'b', fresh('c', false), 'abC'],
  ['nothing is left', known('ab'), undefined, fresh('', false), ''],
  ['a search that looked at its share and found nothing', known('abc'), 'a', fresh('', true), 'abc…'],
  ['a place that is not known any more', known('abc'), 'z', fresh('x'), 'abc…'],
])('%s', (_, before, after, news, expected) => {
  expect(text(replaceSlice(before, after, news))).toBe(expected);
});
