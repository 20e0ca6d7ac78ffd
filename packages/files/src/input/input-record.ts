import type { JsonObject } from '@promptmill/core';

/** A part of an input that becomes a request, or cannot. */
export type InputRecord = {
  /** 1-based. Of a line its line number; of a row how many rows come before it, plus one, without a header. */
  readonly number: number;
  /** Where in the file a row is, when that is another number. */
  readonly line?: number;
} & (
  | { readonly kind: 'text'; readonly text: string }
  /** Its values are JSON values. */
  | { readonly kind: 'row'; readonly values: JsonObject }
  | { readonly kind: 'problem'; readonly message: string }
);

export const notUtf8 = 'not UTF-8 text: save the file as UTF-8';
export const tooLong = (maxBytes: number): string => `longer than ${maxBytes} bytes`;
