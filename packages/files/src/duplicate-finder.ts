import { hash, randomBytes } from 'node:crypto';
import { createHashTable } from './hash-table.ts';

const tableCount = 256;

export interface Duplicate {
  id: string;
  line: number;
  /** The line where this id came first. */
  firstLine: number;
}

export interface DuplicateFinderOptions {
  /** How many duplicates `confirm` gives at most; default 100. */
  maxReported?: number;
}

/** Finds duplicates among tens of millions of ids in some 16 bytes an id, by their 64-bit hashes. */
export interface DuplicateFinder {
  /** Takes the next id, in the order of lines. */
  add(id: string, line: number): void;
  /** How many ids so far had the hash of one before them: 0 proves that there are no duplicates. */
  candidateCount(): number;
  /**
   * The first duplicates, in the order of lines. Since two ids may share a hash, this reads the ids again, as far as
   * needed and only where there are candidates. `reread` gives what was added, in the same order.
   */
  confirm(reread: () => AsyncIterable<{ id: string; line: number }>): Promise<Duplicate[]>;
}

export function createDuplicateFinder({ maxReported = 100 }: DuplicateFinderOptions = {}): DuplicateFinder {
  // Keyed: with a hash known beforehand, ids could be made that all fall into one run of slots.
  const key = randomBytes(16).toString('hex');
  // Many small tables rather than one, so that no growth holds up the event loop for long or needs both sizes of all.
  const tables = Array.from({ length: tableCount }, createHashTable);
  const candidates = new Set<number>();
  let count = 0;
  let lastCandidateLine = 0;

  return {
    add(id, line) {
      const [high, low] = hashId(key, id);
      if (tables[high % tableCount]?.add(high, low)) return;
      count += 1;
      if (count > maxReported) return;
      candidates.add(fold(high, low));
      lastCandidateLine = line;
    },

    candidateCount: () => count,

    async confirm(reread) {
      const duplicates: Duplicate[] = [];
      if (count === 0) return duplicates;
      const firstLines = new Map<string, number>();
      for await (const { id, line } of reread()) {
        if (line > lastCandidateLine) break;
        const [high, low] = hashId(key, id);
        if (!candidates.has(fold(high, low))) continue;
        const firstLine = firstLines.get(id);
        if (firstLine === undefined) firstLines.set(id, line);
        else duplicates.push({ id, line, firstLine });
      }
      return duplicates;
    },
  };
}

/** The first 64 bits of SHA-256, never 0. As text of a character a byte, which Node gives in a third of a Buffer's time. */
function hashId(key: string, id: string): [high: number, low: number] {
  const digest = hash('sha256', key + id, 'binary');
  const high = readUint32(digest, 0);
  const low = readUint32(digest, 4);
  return high === 0 && low === 0 ? [0, 1] : [high, low];
}

function readUint32(digest: string, at: number): number {
  const bits =
    (digest.charCodeAt(at) << 24) |
    (digest.charCodeAt(at + 1) << 16) |
    (digest.charCodeAt(at + 2) << 8) |
    digest.charCodeAt(at + 3);
  return bits >>> 0;
}

/** The 53 bits that a number holds exactly, enough to find the few ids worth comparing. */
function fold(high: number, low: number): number {
  return (high % 2 ** 21) * 2 ** 32 + low;
}
