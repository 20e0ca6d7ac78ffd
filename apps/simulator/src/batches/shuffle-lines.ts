import type { Random } from '@promptmill/core';

/** How far out of order an item may come. */
const held = 1000;

/** The items of a source in another order, of which it holds 1000 at most. */
export async function* shuffled<T>(source: AsyncIterable<readonly T[]>, random: Random): AsyncGenerator<T> {
  const pool: T[] = [];
  const take = (): T => {
    const at = Math.floor(random() * pool.length);
    const item = pool[at]!;
    pool[at] = pool.at(-1)!;
    pool.pop();
    return item;
  };
  for await (const items of source) {
    for (const item of items) {
      pool.push(item);
      if (pool.length > held) yield take();
    }
  }
  while (pool.length > 0) yield take();
}
