/** Items of a list that are known from its start on, and whether there are more after them. */
export interface Known<Item> {
  readonly items: readonly Item[];
  readonly hasMore: boolean;
}

interface Identified {
  readonly id: string;
}

/**
 * Puts fresh items in the place of those that are known after `after`, up to the last of the fresh ones: what is new comes
 * in, and what is gone goes. When the fresh items end before any that is known, what lies between is not known, and all
 * after them is dropped, to be loaded again.
 *
 * @param after the id after which the fresh items come; undefined: from the start
 * @param fresh what the API answered, and whether it has more after that
 */
export const replaceSlice = <Item extends Identified>(
  known: Known<Item>,
  after: string | undefined,
  fresh: Known<Item>,
): Known<Item> => {
  const start = after === undefined ? 0 : known.items.findIndex(({ id }) => id === after) + 1;
  if (after !== undefined && start === 0) return known;
  const head = known.items.slice(0, start);
  const last = fresh.items.at(-1);
  if (!last) return fresh.hasMore ? known : { items: head, hasMore: false };
  const end = known.items.findIndex(({ id }, index) => index >= start && id === last.id);
  if (end === -1) return { items: [...head, ...fresh.items], hasMore: fresh.hasMore };
  const tail = fresh.hasMore ? known.items.slice(end + 1) : [];
  return { items: [...head, ...fresh.items, ...tail], hasMore: fresh.hasMore && known.hasMore };
};
