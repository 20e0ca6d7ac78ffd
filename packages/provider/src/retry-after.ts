interface HeaderSource {
  get(name: string): string | null | undefined;
}

const decimal = /^\d+(?:\.\d+)?$/;
// Date.parse alone takes nearly any text that holds a number.
const httpDate = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;

/**
 * How long a provider asks to be left alone, in milliseconds: `retry-after-ms`, else `retry-after` in seconds or as an
 * HTTP date (a past one is 0). undefined when it does not say, or says it in no form known.
 * Source: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
 */
export const retryAfterMsOf = (headers: HeaderSource, nowMs: number): number | undefined => {
  const milliseconds = headers.get('retry-after-ms')?.trim();
  if (milliseconds && decimal.test(milliseconds)) return Math.ceil(Number(milliseconds));
  const value = headers.get('retry-after')?.trim();
  if (!value) return undefined;
  if (decimal.test(value)) return Math.ceil(Number(value) * 1000);
  if (!httpDate.test(value)) return undefined;
  const dateMs = Date.parse(value);
  return Number.isNaN(dateMs) ? undefined : Math.max(0, dateMs - nowMs);
};
