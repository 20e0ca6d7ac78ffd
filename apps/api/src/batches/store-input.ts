import type { FileRecord } from '@promptmill/core';
import type { ApiDependencies } from '../dependencies.ts';
import { inputExpiresAfterSeconds } from '../files/upload-file.ts';
import type { ReceivedAs } from '../tenants/upload-places.ts';
import type { Creation } from './creation.ts';

export interface MadeInput extends Pick<Creation, 'inputFileId' | 'createdAt'> {
  readonly tenant: string;
  readonly filename: string;
  /** Default: a part of a request. */
  readonly receivedAs?: ReceivedAs;
  /** Ends it early; nothing stays stored. */
  readonly signal?: AbortSignal;
}

/** Stores lines as an input file like any other. The same call again writes the same file. */
export const createStoreInput =
  ({ records, receiveInput, passFailPoint }: Pick<ApiDependencies, 'records' | 'receiveInput' | 'passFailPoint'>) =>
  async (source: AsyncIterable<Uint8Array>, made: MadeInput): Promise<FileRecord> => {
    const { inputFileId, createdAt, tenant, filename, receivedAs = 'part of a request', signal } = made;
    const { bytes, summary } = await receiveInput({
      tenant,
      fileId: inputFileId,
      source,
      receivedAs,
      ...(signal ? { signal } : {}),
    });
    const record: FileRecord = {
      id: inputFileId,
      tenant,
      filename,
      purpose: 'batch',
      bytes,
      createdAt,
      expiresAt: createdAt + inputExpiresAfterSeconds,
      summary,
    };
    passFailPoint('input-stored');
    await records.put(record);
    return record;
  };
