import type { DueIndex, Kept, UploadRecords } from '@promptmill/queue';
import type { ApiDependencies } from '../dependencies.ts';
import { removeParts } from '../uploads/remove-parts.ts';

export interface SweepUploadOptions {
  readonly uploads: UploadRecords;
  readonly files: ApiDependencies['files'];
  readonly due: DueIndex;
  readonly now: () => number;
}

/** How long after its expiry an upload is known. The slowest part arrives before that. */
const rememberMs = 86_400_000;
/** When a completion that is under way is looked at again. */
const whileBusyMs = 300_000;

/**
 * Removes the parts of an upload whose time is over, and a day later its record, with what came or was left in between.
 */
export const createSweepUpload =
  ({ uploads, files, due, now }: SweepUploadOptions) =>
  async (kept: Extract<Kept, { kind: 'file' | 'upload' }>): Promise<void> => {
    const { tenant, id } = kept;
    const upload = await uploads.get(tenant, id);
    if (upload && upload.busyUntilMs > now()) return due.set(kept, now() + whileBusyMs);
    await removeParts({ uploads, files }, kept);
    const forgetAtMs = upload ? upload.expiresAt * 1000 + rememberMs : 0;
    if (forgetAtMs > now()) return due.set(kept, forgetAtMs);
    await uploads.remove(tenant, id);
    await due.remove(kept);
  };
