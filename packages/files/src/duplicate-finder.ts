import { hash, randomBytes } from 'node:crypto';
import { createHashTable } from './hash-table.ts';

const tableCount = 256;

export interface Duplicate {
  id: string;
  line: number;
  /** The line with the id's first occurrence. */
  firstLine: number;
}

export interface DuplicateFinderOptions {
  /** How many duplicates `confirm` returns at most. Default: 100. */
  maxReported?: number;
}

/** Finds duplicates among tens of millions of ids by their 64-bit hashes, in about 16 bytes an id. */
export interface DuplicateFinder {
  /** Adds the next id, in the order of lines. */
  add(id: string, line: number): void;
  /** How many ids so far had the hash of an earlier id. 0 proves that there are no duplicates. */
  candidateCount(): number;
  /**
   * Returns the first duplicates, in the order of lines. Two different ids may share a hash, so if there are candidates
   * it reads the ids again, as far as needed. `reread` yields what was added, in the same order.
   */
  confirm(reread: () => AsyncIterable<{ id: string; line: number }>): Promise<Duplicate[]>;
}

export function createDuplicateFinder({ maxReported = 100 }: DuplicateFinderOptions = {}): DuplicateFinder {
  // A secret key: with a known hash, someone could choose ids that all fall into one run of slots.
  const key = randomBytes(16).toString('hex');
  // Many small tables instead of one: growing one neither blocks the event loop for long nor doubles all memory.
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

/** The first 64 bits of SHA-256, never 0. Node gives text, a character a byte, in a third of a Buffer's time. */
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

/** As many bits of the hash as a number holds exactly, 53: enough to find the few ids to compare. */
function fold(high: number, low: number): number {
  return (high % 2 ** 21) * 2 ** 32 + low;
}
