import { expect, it } from 'vitest';
import { createColumns } from './table-columns.ts';

it('finds the columns of all rows, each with the type that all its values have', () => {
  const columns = createColumns();
  columns.add({ count: 1, share: 1, id: 5, ok: true, none: null, tags: ['a'] });
  columns.add({ count: null, share: 0.5, id: '9007199254740993', ok: false, late: 2 });
  expect(Object.fromEntries(columns.found())).toEqual({
    count: 'integer',
    share: 'number',
    id: 'text',
    ok: 'boolean',
    none: 'text',
    tags: 'text',
    late: 'integer',
  });
  expect([...columns.found().keys()]).toEqual(['count', 'share', 'id', 'ok', 'none', 'tags', 'late']);
});
