/** What the `Content-Disposition` of a form's part says. */
export interface Disposition {
  readonly name?: string;
  readonly filename?: string;
}

/**
 * The index of the quote that ends a quoted text; -1 when it does not end. Browsers do not escape a backslash, so one
 * before the last quote is no escape, nor one before a quote after which another name comes.
 */
const endOfQuoted = (header: string, start: number): number => {
  const after = /\s*(?:$|(;)(\s*(?:filename\*?|name)\s*=)?)/iy;
  let isEscaped = false;
  for (let at = start; at < header.length; at++) {
    if (header[at] === '"') {
      after.lastIndex = at + 1;
      const found = after.exec(header);
      const [, semicolon, name] = found ?? [];
      if (found && (semicolon === undefined || name !== undefined || !isEscaped)) return at;
    }
    isEscaped = header[at] === '\\' && !isEscaped;
  }
  return -1;
};

/**
 * Undoes what senders do to a quoted text: browsers, `fetch` and curl write `%22`, `%0D` and `%0A`; others a backslash
 * before `"` and `\`. A text in which some backslash stands before another character has plain backslashes.
 */
const unquote = (text: string): string => {
  const hasEscapes = /^(?:[^\\]|\\["\\])*$/.test(text);
  const plain = hasEscapes ? text.replace(/\\(["\\])/g, '$1') : text;
  return plain.replace(/%22|%0[AD]/gi, decodeURIComponent);
};

/** Source: https://www.rfc-editor.org/rfc/rfc8187 */
const decodeExtended = (value: string): string | undefined => {
  const [, charset = '', text = ''] = /^([\w-]+)'[^']*'(.*)$/.exec(value) ?? [];
  if (/^iso-8859-1$/i.test(charset))
    return text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  if (!/^utf-?8$/i.test(charset)) return undefined;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
};

/**
 * Parses the `Content-Disposition` of a form's part; undefined when it is none of a form. Names come as they were given,
 * also with quotes, backslashes and folders. `filename*` goes before `filename`.
 *
 * Two backslashes in a row are one when all are in pairs, since the Python SDK doubles them and browsers do not.
 */
export const parseDisposition = (header: string): Disposition | undefined => {
  if (!/^\s*form-data\s*(?:;|$)/i.test(header)) return undefined;
  const found: Record<string, string> = {};
  const parameter = /;\s*([^\s=;"]+)\s*=\s*("?)/g;
  for (let match = parameter.exec(header); match; match = parameter.exec(header)) {
    const [, key = '', quote] = match;
    const start = parameter.lastIndex;
    const end = quote ? endOfQuoted(header, start) : header.indexOf(';', start);
    const text = header.slice(start, end === -1 ? undefined : end);
    parameter.lastIndex = start + text.length;
    const name = key.toLowerCase();
    found[name] ??= quote ? unquote(text) : text.trim();
  }
  const { name, filename, 'filename*': extended } = found;
  const given = (extended === undefined ? undefined : decodeExtended(extended)) ?? filename;
  return { ...(name === undefined ? {} : { name }), ...(given === undefined ? {} : { filename: given }) };
};
