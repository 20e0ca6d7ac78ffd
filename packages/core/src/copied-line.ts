import { requestIdOf } from './ids.ts';
import { nanosToUsd, usdToNanos } from './prices.ts';
import type { AnsweredRequest } from './result-line.ts';

/** What the `promptmill` of a result line may say. */
export interface LineNote {
  readonly model?: string;
  readonly fallback_from?: string;
  readonly cost_usd?: number;
  /** The custom_id of the request whose answer this is a copy of. */
  readonly copied_from?: string;
  /** The batch of that request, when it is another one. */
  readonly copied_from_batch?: string;
  /** What the call would have cost that a copy saved. Absent when that is unknown. */
  readonly saved_usd?: number;
}

interface LineParts {
  /** From `,"response":` up to the note. */
  readonly result: Buffer;
  readonly customId: string;
  readonly note: LineNote;
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
  if (response < 0 || error < response || line.indexOf(newline) >= 0) throw new Error('not a result line');
  const head = JSON.parse(`${line.toString('utf8', 0, response)}}`) as { readonly custom_id: string };
  return {
    result: line.subarray(response, note < 0 ? line.length - 1 : note),
    customId: head.custom_id,
    note: note < 0 ? {} : (JSON.parse(line.toString('utf8', note + noteStart.length, line.length - 1)) as LineNote),
  };
};

/**
 * The note of a result line; empty when it has none.
 *
 * @throws when the bytes are no result line
 */
export const noteOfLine = (line: Buffer): LineNote => splitLine(line).note;

/** What a copy saved, in billionths of a dollar; undefined when that is unknown, and for a line that is no copy. */
export const savedNanoUsdOf = ({ saved_usd: saved }: LineNote): number | undefined =>
  saved === undefined ? undefined : usdToNanos(saved);

/** Where a copied answer comes from. */
export interface CopySource {
  /** The line of the request that was answered. */
  readonly line: Buffer;
  /** What its answer cost, in billionths of a dollar; undefined when that is unknown. */
  readonly nanoUsd: number | undefined;
  /** Its batch, when it is another one. */
  readonly batchId?: string;
}

/**
 * The line of a request that gets a copy of another's result, whether that is an answer or an error. It says whose it is,
 * that it cost nothing, and what it saved.
 *
 * @throws when the source is no result line
 */
export const copiedLine = ({ batchId, index, customId }: AnsweredRequest, source: CopySource): Buffer => {
  const { result, customId: copiedFrom, note } = splitLine(source.line);
  const { model, fallback_from: fallbackFrom } = note;
  const isCopy = note.copied_from !== undefined;
  const fromBatch = source.batchId ?? note.copied_from_batch;
  const nanoUsd = isCopy ? savedNanoUsdOf(note) : source.nanoUsd;
  const copied: LineNote = {
    ...(model !== undefined && { model }),
    ...(fallbackFrom !== undefined && { fallback_from: fallbackFrom }),
    cost_usd: 0,
    copied_from: note.copied_from ?? copiedFrom,
    ...(fromBatch !== undefined && { copied_from_batch: fromBatch }),
    ...(nanoUsd !== undefined && { saved_usd: nanosToUsd(nanoUsd) }),
  };
  const head = `{"id":"${requestIdOf(batchId, index)}","custom_id":${JSON.stringify(customId)}`;
  return Buffer.concat([Buffer.from(head), result, noteStart, Buffer.from(`${JSON.stringify(copied)}}`)]);
};
