import type { JsonObject } from '@promptmill/core';

/** What all values of a column are. Null is a value of each. */
export type ColumnType = 'boolean' | 'integer' | 'number' | 'text';

const typeOf = (value: unknown): ColumnType => {
  if (typeof value === 'boolean') return 'boolean';
  if (typeof value !== 'number') return 'text';
  return Number.isSafeInteger(value) ? 'integer' : 'number';
};

const isNumeric = (type: ColumnType): boolean => type === 'integer' || type === 'number';

const widened = (known: ColumnType | undefined, type: ColumnType): ColumnType => {
  if (known === undefined || known === type) return type;
  return isNumeric(known) && isNumeric(type) ? 'number' : 'text';
};

/** Whether a value can stand in a column of that type. */
export const typeFits = (value: unknown, type: ColumnType): boolean =>
  type === 'text' || value === null || widened(type, typeOf(value)) === type;

/** Learns from its rows which columns a table has, in the order in which they come, and of which type. */
export const createColumns = () => {
  const types = new Map<string, ColumnType | undefined>();
  return {
    add(row: JsonObject): void {
      for (const [name, value] of Object.entries(row)) {
        const known = types.get(name);
        if (value === null) types.set(name, known);
        else if (known !== 'text') types.set(name, widened(known, typeOf(value)));
      }
    },
    found: (): ReadonlyMap<string, ColumnType> =>
      new Map([...types].map(([name, type]) => [name, type ?? 'text'] as const)),
  };
};
