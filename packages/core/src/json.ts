/** A parsed JSON object. */
export type JsonObject = Record<string, unknown>;

/** Whether a parsed JSON value is an object, and not an array. */
export const isJsonObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Whether a parsed JSON value nests objects and arrays more than `depth` deep. */
export const isDeeperThan = (value: unknown, depth: number): boolean => {
  if (typeof value !== 'object' || value === null) return false;
  if (depth === 0) return true;
  for (const item of Array.isArray(value) ? value : Object.values(value))
    if (isDeeperThan(item, depth - 1)) return true;
  return false;
};

/**
 * Whether a JSON text could nest objects and arrays more than `depth` deep: whether it has so many brackets. It is quick,
 * also for an object of very many members, whose values take long to visit.
 */
export const mayBeDeeperThan = (text: string, depth: number): boolean => {
  let brackets = 0;
  for (const bracket of ['[', '{'])
    for (let at = text.indexOf(bracket); at !== -1; at = text.indexOf(bracket, at + 1))
      if (++brackets > depth) return true;
  return false;
};

/** A property of a parsed JSON value; undefined when the value has no properties. */
export const field = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? (value as JsonObject)[name] : undefined;
