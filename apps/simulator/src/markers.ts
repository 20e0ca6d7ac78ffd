import { ApiError } from '@promptmill/core';
import { isFaultName, type FaultName } from './faults.ts';

/** What goes wrong with a call: a fault of the table, or an error status with its `Retry-After` headers. */
export type Fault =
  | { readonly name: FaultName }
  | { readonly name: 'status'; readonly status: number; readonly headers: Readonly<Record<string, string>> };

/** One `[[sim:…]]` in a prompt. */
export interface Marker {
  readonly fault?: Fault;
  /** Replaces the configured latency. */
  readonly latencyMs?: number;
  /** How many calls it applies to. */
  readonly times: number;
}

/**
 * Reads the markers of a prompt: `[[sim:status=503;retry-after=2;times=2]]`, `[[sim:fault=hang]]`,
 * `[[sim:latency=1500]]`. `[[sim:mismatch=first]]` and `[[sim:mismatch=always]]` are for the model `json`. Values of
 * `retry-after` and `retry-after-ms` are sent as they are written.
 * @throws ApiError 400 `invalid_marker`, so that a test with a misspelled fault fails.
 */
export function readMarkers(prompt: string): readonly Marker[] {
  if (!prompt.includes(markerStart)) return [];
  const contents: string[] = [];
  for (const line of prompt.split(lineBreak)) addMarkers(line, contents);
  return contents.map(readMarker);
}

const markerStart = '[[sim:';
const markerEnd = ']]';
const lineBreak = /[\n\r\u2028\u2029]/;

/** Adds the contents of a line's markers. It looks at each character twice at most: a prompt may have megabytes of starts. */
function addMarkers(line: string, contents: string[]): void {
  let at = line.indexOf(markerStart);
  while (at !== -1) {
    const contentAt = at + markerStart.length;
    const end = line.indexOf(markerEnd, contentAt);
    if (end === -1) return;
    contents.push(line.slice(contentAt, end));
    at = line.indexOf(markerStart, end + markerEnd.length);
  }
}

/**
 * The marker for the nth call, counted from 1. Markers apply in the order in which they are written, each to as many
 * calls as its `times` says. After the last, calls succeed.
 */
export function markerForCall(markers: readonly Marker[], nth: number): Marker | undefined {
  let before = 0;
  return markers.find((marker) => nth <= (before += marker.times));
}

function readMarker(content: string): Marker {
  const fields = new Map(content.split(';').map(splitField));
  const take = (name: string): string | undefined => {
    const value = fields.get(name);
    fields.delete(name);
    return value;
  };
  const takeNumber = (name: string, min: number, max: number): number | undefined => {
    const value = take(name);
    if (value === undefined) return undefined;
    const number = Number(value);
    if (!/^\d+$/.test(value) || number < min || number > max) throw invalidMarker(content, name);
    return number;
  };

  const status = takeNumber('status', 400, 599);
  const times = takeNumber('times', 1, 1_000_000) ?? Infinity;
  const latencyMs = takeNumber('latency', 0, 86_400_000);
  const mismatch = take('mismatch');
  if (mismatch !== undefined && mismatch !== 'first' && mismatch !== 'always') throw invalidMarker(content, 'mismatch');
  const faultName = take('fault');
  const headers: Record<string, string> = {};
  for (const name of ['retry-after', 'retry-after-ms']) {
    const value = take(name);
    if (value === undefined) continue;
    if (status === undefined || !/^[\x20-\x7e]+$/.test(value)) throw invalidMarker(content, name);
    headers[name] = value;
  }
  const [unknown] = fields.keys();
  if (unknown !== undefined) throw invalidMarker(content, unknown);

  let fault: Fault | undefined;
  if (status !== undefined) fault = { name: 'status', status, headers };
  if (faultName !== undefined) {
    if (fault || !isFaultName(faultName)) throw invalidMarker(content, 'fault');
    fault = { name: faultName };
  }
  return { times, ...(fault && { fault }), ...(latencyMs !== undefined && { latencyMs }) };
}

function splitField(field: string): [name: string, value: string] {
  const [name = '', ...rest] = field.split('=');
  return [name.trim(), rest.join('=').trim()];
}

/** Most characters of a marker in an error message. */
const maxShown = 200;

function invalidMarker(content: string, field: string): ApiError {
  return new ApiError(
    400,
    `The simulator cannot read '${field.slice(0, maxShown)}' in the marker [[sim:${content.slice(0, maxShown)}]].`,
    {
      code: 'invalid_marker',
    },
  );
}
