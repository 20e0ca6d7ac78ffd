const maxCharacters = 200;
const maxItems = 20;
const maxDepth = 8;

/** Shortens a value for a screen: cuts long texts, long lists and deep structures, and says how much is missing. */
export const shorten = (value: unknown, depth = 0): unknown => {
  if (typeof value === 'string')
    return value.length > maxCharacters
      ? `${value.slice(0, maxCharacters)}… (${value.length - maxCharacters} characters more)`
      : value;
  if (typeof value !== 'object' || value === null) return value;
  if (depth === maxDepth) return '…';
  if (Array.isArray(value)) {
    const shown = value.slice(0, maxItems).map((item) => shorten(item, depth + 1));
    return value.length > maxItems ? [...shown, `… (${value.length - maxItems} more)`] : shown;
  }
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, shorten(field, depth + 1)]));
};
