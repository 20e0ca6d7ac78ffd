import { type FileRecord, newFileId, toFileObject } from '@promptmill/core';
import { type Conversion, convertInput, describeProblems, InputError, placeOf, readRecords } from '@promptmill/files';
import type { z } from 'zod';
import { createStoreInput } from '../batches/store-input.ts';
import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import type { FileParams } from '../files/file-schemas.ts';
import { keepWaiting } from '../uploads/keep-waiting.ts';
import type { ConversionBody, fileConversion } from './conversion-schemas.ts';
import { openSource, type Source, type SourceDependencies } from './open-source.ts';
import { signalOfLeaving } from './signal-of-leaving.ts';

type Answer = z.output<typeof fileConversion>;

type Dependencies = SourceDependencies &
  Parameters<typeof createStoreInput>[0] &
  Pick<ApiDependencies, 'config' | 'removeFile' | 'now'>;

const refused = (problems: readonly string[], requests = 0): Answer => ({
  object: 'file.conversion',
  file: null,
  endpoint: null,
  requests,
  problems: [...problems],
});

/**
 * `POST /v1/files/{file_id}/convert`: makes an input file of a file of prompts, line by line, and keeps the connection
 * open meanwhile ({@link keepWaiting}). When anything is wrong, nothing is made, and the answer says what and where. A caller who
 * leaves ends the work.
 */
export const convertFile = (dependencies: Dependencies) => {
  const { config, removeFile, now } = dependencies;
  const { maxLineBytes } = config.limits;
  const storeInput = createStoreInput(dependencies);

  /** Problems of the whole file that its lines alone do not show, such as two requests with one `custom_id`. */
  const problemsOf = ({ summary }: FileRecord, format: Source['format']): string[] =>
    (summary?.problems ?? []).map(({ line, message }) =>
      line === null ? message : `${placeOf(undefined, format, line)}: ${message}`,
    );

  const convert = async (tenant: string, source: Source, signal: AbortSignal): Promise<Answer> => {
    const { file, format, records, composition } = source;
    const found: { conversion?: Conversion } = {};
    async function* converted(): AsyncGenerator<Uint8Array> {
      const blocks = convertInput(readRecords(records, maxLineBytes), { format, composition, maxLineBytes });
      for (;;) {
        const next = await blocks.next();
        if (next.done) {
          found.conversion = next.value;
          break;
        }
        yield Buffer.from(next.value.lines);
      }
      const problems = describeProblems(undefined, format, found.conversion);
      // What is stored so far is removed by this.
      if (problems.length > 0) throw new InputError('input_invalid', problems.join('\n'));
    }
    const record = await storeInput(converted(), {
      tenant,
      inputFileId: newFileId(),
      createdAt: Math.floor(now() / 1000),
      filename: file.filename.replace(/(\.[^.]*)?$/, '.jsonl'),
      receivedAs: 'upload',
      signal,
    });
    const { requests = 0, endpoint = null } = found.conversion ?? {};
    const problems = requests === 0 ? ['There are no prompts in it.'] : problemsOf(record, format);
    if (problems.length === 0)
      return { object: 'file.conversion', file: toFileObject(record), endpoint, requests, problems };
    await removeFile(tenant, record.id);
    return refused(problems, requests);
  };

  return async ({ tenant, params, body, response }: Call<FileParams, unknown, ConversionBody>): Promise<Answer> => {
    const signal = signalOfLeaving(response);
    const source = await openSource(dependencies, {
      tenant,
      fileId: params.file_id,
      body,
      maxRowCharacters: maxLineBytes,
      signal,
    });
    const stopKeeping = keepWaiting(response);
    try {
      return await convert(tenant, source, signal);
    } catch (error) {
      if (error instanceof InputError) return refused(error.message.split('\n'));
      throw error;
    } finally {
      stopKeeping();
    }
  };
};
