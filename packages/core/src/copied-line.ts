import { parseRequestId, requestIdOf } from './ids.ts';
import { nanosToUsd, usdToNanos } from './prices.ts';
import type { AnsweredRequest } from './result-line.ts';
import type { ServiceTier } from './service-tier.ts';

/** What the `promptmill` of a result line may say. */
export interface LineNote {
  readonly model?: string;
  readonly fallback_from?: string;
  /** The tier that answered, of a request that began in flex. */
  readonly tier?: ServiceTier;
  /** Set when the request has left flex. */
  readonly tier_from?: 'flex';
  /** Set when the provider's batch API gave the result. */
  readonly via?: 'batch_api';
  readonly cost_usd?: number;
  /** The custom_id of the request whose answer this is a copy of. */
  readonly copied_from?: string;
  /** The batch of that request, when it is another one. */
  readonly copied_from_batch?: string;
  /** What the call would have cost that a copy saved. Absent when that is unknown. */
  readonly saved_usd?: number;
}

/** What a result line says beside its result. */
export interface LineHead extends AnsweredRequest {
  /** Empty when it has none. */
  readonly note: LineNote;
}

interface LineParts extends LineHead {
  /** From `,"response":` up to the note. */
  readonly result: Buffer;
}

const newline = 0x0a;
const responseStart = Buffer.from(',"response":');
const errorStart = Buffer.from(',"error":');
const noteStart = Buffer.from(',"promptmill":');

/**
 * Takes a result line apart without parsing its answer. Before the response there are only strings, in which no quote stands
 * without a backslash, and after it only flat objects: so the first `,"response":` and the last `,"error":` are the line's.
 *
 * @throws when the bytes are no result line
 */
const splitLine = (line: Buffer): LineParts => {
  const response = line.indexOf(responseStart);
  const error = line.lastIndexOf(errorStart);
  const note = line.indexOf(noteStart, error);
  if (response < 0 || error < response || line.includes(newline)) throw new Error('not a result line');
  const head = JSON.parse(`${line.toString('utf8', 0, response)}}`) as {
    readonly id: string;
    readonly custom_id: string;
  };
  const request = parseRequestId(head.id);
  if (!request) throw new Error('not a result line');
  return {
    ...request,
    result: line.subarray(response, note < 0 ? line.length - 1 : note),
    customId: head.custom_id,
    note: note < 0 ? {} : (JSON.parse(line.toString('utf8', note + noteStart.length, line.length - 1)) as LineNote),
  };
};

/**
 * Reads what a result line says beside its result.
 *
 * @throws when the bytes are no result line
 */
export const readLineHead = (line: Buffer): LineHead => {
  const { batchId, index, customId, note } = splitLine(line);
  return { batchId, index, customId, note };
};

/** What a copy saved, in billionths of a dollar; undefined when that is unknown, and for a line that is no copy. */
export const savedNanoUsdOf = ({ saved_usd: saved }: LineNote): number | undefined =>
  saved === undefined ? undefined : usdToNanos(saved);

/** A copy of another request's result. */
export interface CopiedLine {
  /** Without its newline. */
  readonly line: Buffer;
  /** What its call would have cost, in billionths of a dollar; undefined when that is unknown. */
  readonly savedNanoUsd: number | undefined;
}

/**
 * The line of a request that gets a copy of another's result, whether that is an answer or an error. It says whose it is,
 * that it cost nothing, and what it saved.
 *
 * @param source the line of the request that was answered
 * @param nanoUsd what that cost, in billionths of a dollar. Default: what the line says
 * @throws when the source is no result line
 */
export const copiedLine = (request: AnsweredRequest, source: Buffer, nanoUsd?: number): CopiedLine => {
  const { result, batchId, customId, note } = splitLine(source);
  const { model, fallback_from: fallbackFrom, cost_usd: costUsd } = note;
  const isCopy = note.copied_from !== undefined;
  const fromBatch = note.copied_from_batch ?? (batchId === request.batchId ? undefined : batchId);
  const cost = nanoUsd ?? (costUsd === undefined ? undefined : usdToNanos(costUsd));
  const savedNanoUsd = isCopy ? savedNanoUsdOf(note) : cost;
  const copied: LineNote = {
    ...(model !== undefined && { model }),
    ...(fallbackFrom !== undefined && { fallback_from: fallbackFrom }),
    cost_usd: 0,
    copied_from: note.copied_from ?? customId,
    ...(fromBatch !== undefined && { copied_from_batch: fromBatch }),
    ...(savedNanoUsd !== undefined && { saved_usd: nanosToUsd(savedNanoUsd) }),
  };
  const id = requestIdOf(request.batchId, request.index);
  const head = Buffer.from(`{"id":"${id}","custom_id":${JSON.stringify(request.customId)}`);
  const tail = Buffer.from(`${JSON.stringify(copied)}}`);
  return { line: Buffer.concat([head, result, noteStart, tail]), savedNanoUsd };
};
