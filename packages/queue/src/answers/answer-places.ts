import type { RedisConnection } from '../connection/redis.ts';
import { defineScript } from '../connection/script.ts';
import type { Keys } from '../keys.ts';

/** Where the answer to a question is: a line of an output file. */
export interface AnswerPlace {
  readonly fileId: string;
  /** Of the line's first byte. */
  readonly offset: number;
  /** Of the line without its newline, in bytes. */
  readonly length: number;
  /** When the batch had ended, in Unix seconds. */
  readonly answeredAt: number;
}

export interface KnownAnswer {
  /** Of the question. */
  readonly hash: string;
  readonly place: AnswerPlace;
}

/** A tenant has two generations of this many places: between 50,000 and 100,000 of its latest answers are known. */
const placesOfGeneration = 50_000;
/** The longest time for which an answer can be asked for. */
const keptSeconds = 30 * 86_400;
/** Places that are noted in one step. */
const addAtOnce = 500;

const addAnswerPlaces = defineScript<
  [newest: string, older: string],
  [most: number, seconds: number, ...hashesAndPlaces: string[]],
  null
>(new URL('./add-answer-places.lua', import.meta.url));

const encode = ({ fileId, offset, length, answeredAt }: AnswerPlace): string =>
  [fileId, offset, length, answeredAt].join(' ');

const decode = (text: string): AnswerPlace => {
  const [fileId = '', offset, length, answeredAt] = text.split(' ');
  return { fileId, offset: Number(offset), length: Number(length), answeredAt: Number(answeredAt) };
};

/** Where answers of each tenant's batches are, by the hashes of their questions. The answers are in the file store. */
export const createAnswerPlaces = (redis: RedisConnection, keys: Keys, most = placesOfGeneration) => ({
  /** How many places of a tenant are kept at most. */
  most: 2 * most,

  /** Notes places of answers. A later answer to the same question takes the place of an earlier one. */
  async add(tenant: string, answers: readonly KnownAnswer[]): Promise<void> {
    for (let i = 0; i < answers.length; i += addAtOnce)
      await addAnswerPlaces(
        redis,
        [keys.answerPlaces(tenant), keys.olderAnswerPlaces(tenant)],
        [most, keptSeconds, ...answers.slice(i, i + addAtOnce).flatMap(({ hash, place }) => [hash, encode(place)])],
      );
  },

  /** The place of each question's latest answer, where there is one since `since` (Unix seconds). */
  async find(tenant: string, hashes: readonly string[], since: number): Promise<(AnswerPlace | undefined)[]> {
    if (hashes.length === 0) return [];
    const [newest, older] = await Promise.all([
      redis.hmget(keys.answerPlaces(tenant), ...hashes),
      redis.hmget(keys.olderAnswerPlaces(tenant), ...hashes),
    ]);
    return hashes.map((_, i) => {
      const text = newest[i] ?? older[i];
      const place = text ? decode(text) : undefined;
      return place && place.answeredAt >= since ? place : undefined;
    });
  },
});

export type AnswerPlaces = ReturnType<typeof createAnswerPlaces>;
