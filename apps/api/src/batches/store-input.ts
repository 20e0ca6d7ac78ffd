import type { FileRecord } from '@promptmill/core';
import type { ApiDependencies } from '../dependencies.ts';
import { inputExpiresAfterSeconds } from '../files/upload-file.ts';
import type { Creation } from './creation.ts';

export interface MadeInput extends Pick<Creation, 'inputFileId' | 'createdAt'> {
  readonly tenant: string;
  readonly filename: string;
}

/** Stores lines as an input file like any other. The same call again writes the same file. */
export const createStoreInput =
  ({ records, receiveInput, passFailPoint }: Pick<ApiDependencies, 'records' | 'receiveInput' | 'passFailPoint'>) =>
  async (source: AsyncIterable<Uint8Array>, { inputFileId, createdAt, tenant, filename }: MadeInput): Promise<void> => {
    const { bytes, summary } = await receiveInput({
      tenant,
      fileId: inputFileId,
      source,
      receivedAs: 'part of a request',
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
  };
