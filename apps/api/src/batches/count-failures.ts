import type { z } from 'zod';
import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import type { BatchParams, failuresPage, FailuresQuery } from './batch-schemas.ts';
import { findBatch } from './find-batch.ts';
import { mostLooked, openResults } from './open-results.ts';
import { readFailure } from './read-failure.ts';

type FailuresPage = z.output<typeof failuresPage>;
type Group = FailuresPage['data'][number];

const maxGroups = 100;
/** A retry takes no longer code. */
const maxCodeLength = 64;
const maxMessageLength = 1000;
/** Failures beyond the groups, and those without a code. */
const otherCode = 'other';

/**
 * `GET /v1/batches/{batch_id}/failures`: how many requests failed, by code, each with an example. One call counts a part
 * of a large batch: memory and time stay the same however large it is.
 */
export const countFailures =
  ({ batches, files }: Pick<ApiDependencies, 'batches' | 'files'>) =>
  async ({ tenant, params, query }: Call<BatchParams, FailuresQuery>): Promise<FailuresPage> => {
    const batch = await findBatch(batches, tenant, params.batch_id);
    const groups = new Map<string, Group>();
    const count = (line: string): void => {
      const { customId, codes, message } = readFailure(line);
      const code = codes.find((each) => each !== '' && each.length <= maxCodeLength) ?? otherCode;
      const name = groups.has(code) || groups.size < maxGroups - 1 ? code : otherCode;
      const example = { custom_id: customId, message: message.slice(0, maxMessageLength) };
      const group = groups.get(name) ?? { code: name, count: 0, example };
      groups.set(name, { ...group, count: group.count + 1 });
    };

    const { after } = query;
    const source = await openResults({ batches, files }, batch, {
      after,
      status: 'failed',
      atMost: mostLooked.segments,
    });
    let next = source.from;
    let hasMore = source.mayHaveMore;
    let looked = 0;
    for await (const result of source.results) {
      if (looked > mostLooked.bytes) {
        hasMore = true;
        break;
      }
      ({ next } = result);
      looked += result.line.length;
      if (result.status === 'failed') count(result.line.toString());
    }
    const data = [...groups.values()].toSorted((a, b) => b.count - a.count);
    return { object: 'list', data, next, has_more: hasMore };
  };
