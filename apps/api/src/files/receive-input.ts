import { fileKey, type InputSummary } from '@promptmill/core';
import type { FileStore } from '@promptmill/files';
import type { DueIndex } from '@promptmill/queue';
import type { PresentTenants } from '../access/present-tenants.ts';
import type { ReceivedAs, UploadPlaces } from '../tenants/upload-places.ts';
import { createChunkTurns } from './chunk-turns.ts';
import { createInputCheck } from './check-input.ts';
import { tooLarge, upTo } from './up-to.ts';

interface InputLimits {
  readonly maxLineBytes: number;
  readonly maxFileBytes: number;
}

interface IncomingInput {
  readonly tenant: string;
  readonly fileId: string;
  readonly source: AsyncIterable<Uint8Array>;
  readonly receivedAs: ReceivedAs;
  /** How many bytes will come at most. Undefined when nobody knows. */
  readonly expectedBytes?: number | undefined;
  /** Ends the upload early; nothing stays stored. */
  readonly signal?: AbortSignal;
}

interface ReceivedInput {
  readonly bytes: number;
  readonly summary: InputSummary;
}

export type ReceiveInput = (input: IncomingInput) => Promise<ReceivedInput>;

export interface ReceiveInputOptions {
  readonly files: FileStore;
  readonly due: DueIndex;
  readonly places: UploadPlaces;
  readonly limits: InputLimits;
  readonly present: Pick<PresentTenants, 'hasOthers'>;
  readonly now: () => number;
}

/** Bytes that get no record are kept for this long: a day to arrive, and a day in which a repeat may use them. */
const unrecordedMs = 2 * 86_400_000;

/**
 * Stores an input file and checks it in the same pass, in memory that does not grow with the file. The sweep removes
 * the bytes unless they get a record. The returned function rejects with ApiError 413 `file_too_large`, with what the
 * source or the store throws, and when the tenant is over a limit.
 */
export const createReceiveInput = ({ files, due, places, limits, present, now }: ReceiveInputOptions): ReceiveInput => {
  const { maxLineBytes, maxFileBytes } = limits;
  const turnOf = createChunkTurns(present);
  return async ({ tenant, fileId, source, receivedAs, expectedBytes, signal }) => {
    const key = fileKey(fileId);
    const place = await places.take(tenant, fileId, receivedAs, expectedBytes && Math.min(expectedBytes, maxFileBytes));
    try {
      await due.set({ kind: 'file', tenant, id: fileId }, now() + unrecordedMs);
      const check = createInputCheck(maxLineBytes);
      const beforeChunk = async (size: number): Promise<void> => {
        await place.grow(size);
        await turnOf(tenant);
      };
      const error = tooLarge('file', maxFileBytes, 'file');
      const stored = check.passThrough(upTo(maxFileBytes, source, { error, beforeChunk }));
      const { bytes } = await files.put(key, stored, signal ? { signal } : {});
      try {
        return { bytes, summary: await check.finish(() => files.get(key)) };
      } catch (error) {
        await files.delete(key);
        throw error;
      }
    } catch (error) {
      await place.giveBack();
      throw error;
    } finally {
      place.leave();
    }
  };
};
