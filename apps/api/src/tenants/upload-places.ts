import type { Tenants } from '@promptmill/core';
import { keepPlaceEveryMs, type TenantPlaces } from '@promptmill/queue';
import { overLimit } from './over-limit.ts';

export interface UploadPlacesOptions {
  readonly places: TenantPlaces;
  readonly limitsOf: Tenants['limitsOf'];
}

/** A place that nothing limits. */
const noPlace = { grow: async () => {}, leave: () => {}, giveBack: async () => {} };

/** A larger step would keep other uploads out for bytes that never come; a smaller one costs more round trips. */
const stepBytes = 1024 * 1024;

/** What a file is received as: only uploads are limited in number, and the bytes of parts count already. */
export type ReceivedAs = 'upload' | 'uploaded parts' | 'part of a request';

/**
 * The place of each upload among those that its tenant may have at once, with the bytes it takes of the tenant's space.
 * Writing or deleting the file's record frees both.
 */
export const createUploadPlaces = ({ places, limitsOf }: UploadPlacesOptions) => ({
  /**
   * Takes a place. Throws ApiError `too_many_uploads`, and `too_many_stored_bytes` when the space for `expectedBytes`
   * is not free.
   */
  async take(tenant: string, fileId: string, receivedAs: ReceivedAs, expectedBytes = 0) {
    const place = { tenant, kind: 'uploads', id: fileId } as const;
    let reserved = 0;
    const mostBytes = () => (receivedAs === 'uploaded parts' ? undefined : limitsOf(tenant).storedBytes);

    const reserve = async (least: number, wanted: number, most?: number): Promise<void> => {
      const storedBytes = mostBytes();
      const amount = storedBytes === undefined ? undefined : { least, wanted, most: storedBytes };
      const outcome = await places.take({ ...place, most, amount });
      if (outcome.kind === 'taken') reserved = outcome.amount;
      else if (outcome.what === 'places') throw overLimit('uploadsAtOnce', { limit: most ?? 0, used: outcome.used });
      else throw overLimit('storedBytes', { limit: storedBytes ?? 0, used: outcome.used, more: least });
    };

    if (receivedAs !== 'part of a request') await reserve(expectedBytes, expectedBytes, limitsOf(tenant).uploadsAtOnce);
    else if (mostBytes() === undefined) return noPlace;
    const timer = setInterval(() => {
      // When Redis is away, the next turn keeps it. A limit that was lowered does not end an upload.
      reserve(reserved, reserved).catch(() => {});
    }, keepPlaceEveryMs);

    return {
      /** Sees that so many bytes are reserved. Throws ApiError `too_many_stored_bytes`. */
      async grow(bytes: number): Promise<void> {
        if (bytes > reserved && mostBytes() !== undefined) await reserve(bytes, bytes + stepBytes);
      },
      /** From now on nobody keeps the place. It stays taken until the record of the file or part is written, for 30 s at most. */
      leave: () => clearInterval(timer),
      async giveBack(): Promise<void> {
        clearInterval(timer);
        // Otherwise it becomes free by itself.
        await places.giveBack(place).catch(() => {});
      },
    };
  },
});

export type UploadPlaces = ReturnType<typeof createUploadPlaces>;
