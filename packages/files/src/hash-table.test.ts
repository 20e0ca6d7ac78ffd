import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { createHashTable } from './hash-table.ts';

test('a hash is new only once, however close the hashes lie', () => {
  const half = fc.oneof(fc.nat(20), fc.constantFrom(2 ** 31, 2 ** 32 - 1), fc.nat(2 ** 32 - 1));
  const hashes = fc.array(
    fc.tuple(half, half).filter(([high, low]) => high !== 0 || low !== 0),
    { maxLength: 300, size: 'max' },
  );
  fc.assert(
    fc.property(hashes, (added) => {
      const table = createHashTable();
      const seen = new Set<string>();
      for (const [high, low] of added) {
        expect(table.add(high, low)).toBe(!seen.has(`${high} ${low}`));
        seen.add(`${high} ${low}`);
      }
    }),
  );
});
