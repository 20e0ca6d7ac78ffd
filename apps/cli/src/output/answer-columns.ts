import { field, isJsonObject } from '@promptmill/core';
import type { ColumnType } from '@promptmill/files';

const typesByName: Readonly<Record<string, ColumnType>> = { boolean: 'boolean', integer: 'integer', number: 'number' };

/** The type of a column for a property. Whatever is not surely of one type is text; null is a value of each. */
const columnTypeOf = (schema: unknown): ColumnType => {
  const type = field(schema, 'type');
  const types = (Array.isArray(type) ? (type as unknown[]) : [type]).filter((name) => name !== 'null');
  return (
    (types.length === 1 && Object.hasOwn(typesByName, String(types[0])) && typesByName[String(types[0])]) || 'text'
  );
};

/** The columns that answers have: the properties of an object's schema. None for any other schema. */
export const answerColumnsOf = (schema: unknown): ReadonlyMap<string, ColumnType> => {
  const properties = field(schema, 'properties');
  return new Map(
    isJsonObject(properties) ? Object.entries(properties).map(([name, of]) => [name, columnTypeOf(of)]) : [],
  );
};
