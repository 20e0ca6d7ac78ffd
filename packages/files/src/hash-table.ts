const minSlots = 8;
const maxLoad = 0.75;

/** A set of 64-bit hashes, each of two 32-bit halves and not 0: open addressing, 8 bytes a slot. */
export interface HashTable {
  /** Adds a hash, and returns whether it was new. */
  add(high: number, low: number): boolean;
}

export function createHashTable(): HashTable {
  let slots = new Uint32Array(0);
  let used = 0;

  const grow = () => {
    const old = slots;
    slots = new Uint32Array(Math.max(2 * minSlots, 2 * old.length));
    for (let at = 0; at < old.length; at += 2) {
      const low = old[at] ?? 0;
      const high = old[at + 1] ?? 0;
      if (low !== 0 || high !== 0) insert(slots, high, low);
    }
    // Frees the memory now, not at a later garbage collection.
    old.buffer.transfer(0);
  };

  return {
    add(high, low) {
      if (2 * used >= maxLoad * slots.length) grow();
      const isNew = insert(slots, high, low);
      if (isNew) used += 1;
      return isNew;
    },
  };
}

function insert(slots: Uint32Array, high: number, low: number): boolean {
  const mask = slots.length - 1;
  for (let at = (2 * low) & mask; ; at = (at + 2) & mask) {
    const lowThere = slots[at];
    const highThere = slots[at + 1];
    if (lowThere === low && highThere === high) return false;
    if (lowThere === 0 && highThere === 0) {
      slots[at] = low;
      slots[at + 1] = high;
      return true;
    }
  }
}
