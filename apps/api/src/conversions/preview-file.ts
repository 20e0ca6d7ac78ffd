import { setImmediate } from 'node:timers/promises';
import { type JsonObject } from '@promptmill/core';
import {
  convertInput,
  describeProblems,
  InputError,
  isBlank,
  type InputRecord,
  readRecords,
  rowOf,
  takeFirst,
  textOfValue,
} from '@promptmill/files';
import type { z } from 'zod';
import { findRefusal } from '../batches/find-refusal.ts';
import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import type { FileParams } from '../files/file-schemas.ts';
import { signalOfLeaving } from './signal-of-leaving.ts';
import type { ConversionBody, filePreview } from './conversion-schemas.ts';
import { createTakeTurns } from './take-turns.ts';
import { openSource, type Source, type SourceDependencies } from './open-source.ts';

type Preview = z.output<typeof filePreview>;

const previewedRequests = 5;
/** Of a longer file, blank lines for the most part, no more is read. */
const maxBytes = 128 * 2 ** 20;
const maxBodyCharacters = 64 * 1024;
const maxColumns = 200;
const maxNameCharacters = 1024;
const maxExampleCharacters = 200;

const columnsOf = (record: InputRecord, format: Source['format']): Preview['columns'] => {
  const row = record.kind === 'problem' ? undefined : rowOf(record, format);
  if (row === undefined || 'message' in row) return [];
  return Object.entries(row.values)
    .filter(([name]) => name.length <= maxNameCharacters)
    .slice(0, maxColumns)
    .map(([name, value]) => ({ name, example: textOfValue(value).slice(0, maxExampleCharacters) }));
};

/** `POST /v1/files/{file_id}/preview`: the first requests that a file makes. It reads no more of the file than it needs. */
export const previewFile = (dependencies: SourceDependencies & Pick<ApiDependencies, 'config' | 'tenants'>) => {
  const { config, tenants } = dependencies;
  const { maxLineBytes } = config.limits;
  const takeTurn = createTakeTurns();

  const preview = async (tenant: string, { format, records, composition }: Source): Promise<Preview> => {
    let columns: Preview['columns'] | undefined;
    async function* watched(): AsyncGenerator<InputRecord[]> {
      for await (const block of readRecords(records, maxLineBytes)) {
        const first = block.find((record) => !isBlank(record));
        if (first) columns ??= columnsOf(first, format);
        yield block;
      }
    }
    const choose = takeFirst(previewedRequests);
    const blocks = convertInput(watched(), { format, composition, maxLineBytes, choose });
    const requests: Preview['requests'] = [];
    for (;;) {
      const next = await blocks.next();
      if (!next.done) {
        // Long requests take a while; others have their turn between them.
        await setImmediate();
        for (const line of next.value.lines.split('\n')) {
          if (line === '') continue;
          const { custom_id, url, body } = JSON.parse(line) as { custom_id: string; url: string; body: JsonObject };
          requests.push({ custom_id, url, ...(line.length <= maxBodyCharacters ? { body } : {}) });
        }
        continue;
      }
      const refusals = [...next.value.models.keys()].map((model) =>
        findRefusal(config.lanes, tenants.limitsOf(tenant), model),
      );
      const problems = [
        ...describeProblems(undefined, format, next.value),
        ...refusals.flatMap((refusal) => (refusal ? [refusal.message] : [])),
      ];
      return { object: 'file.preview', format, columns: columns ?? [], requests, problems };
    }
  };

  return async ({ tenant, params, body, response }: Call<FileParams, unknown, ConversionBody>): Promise<Preview> => {
    const signal = signalOfLeaving(response);
    const source = await openSource(dependencies, {
      tenant,
      fileId: params.file_id,
      body,
      maxRowCharacters: maxLineBytes,
      signal,
      maxBytes,
    });
    const end = await takeTurn(tenant);
    try {
      signal.throwIfAborted();
      return await preview(tenant, source);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      return { object: 'file.preview', format: source.format, columns: [], requests: [], problems: [error.message] };
    } finally {
      end();
    }
  };
};
