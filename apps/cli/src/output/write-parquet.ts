import type { ColumnType } from '@promptmill/files';
import { type BasicType, ByteWriter, ParquetWriter, schemaFromColumnData } from 'hyparquet-writer';
import type { Cell, TableColumn } from './result-table.ts';

const types: Readonly<Record<ColumnType, BasicType>> = {
  boolean: 'BOOLEAN',
  integer: 'INT64',
  number: 'DOUBLE',
  text: 'STRING',
};

/** A row group ends with the row that passes either. */
const maxGroupRows = 20_000;
const maxGroupChars = 16 * 2 ** 20;

/** Writes a Parquet file, with one row group in memory. */
export async function* writeParquet(
  columns: readonly TableColumn[],
  rows: AsyncIterable<readonly Cell[]>,
): AsyncGenerator<Uint8Array> {
  const bytes = new ByteWriter();
  const take = (): Uint8Array => {
    const taken = new Uint8Array(bytes.getBuffer());
    bytes.index = 0;
    return taken;
  };
  const newGroup = () =>
    columns.map(({ name, type }) => ({ name, type: types[type], nullable: true, data: [] as unknown[] }));
  let group = newGroup();
  let groupRows = 0;
  let groupChars = 0;
  const writer = new ParquetWriter({
    writer: bytes,
    schema: schemaFromColumnData({ columnData: group }),
    createdBy: 'promptmill',
  });
  const endGroup = (): Uint8Array => {
    void writer.write({ columnData: group, rowGroupSize: groupRows });
    group = newGroup();
    groupRows = 0;
    groupChars = 0;
    return take();
  };

  for await (const cells of rows) {
    for (const [index, cell] of cells.entries()) {
      group[index]?.data.push(columns[index]?.type === 'integer' && typeof cell === 'number' ? BigInt(cell) : cell);
      if (typeof cell === 'string') groupChars += cell.length;
    }
    if (++groupRows >= maxGroupRows || groupChars >= maxGroupChars) yield endGroup();
  }
  if (groupRows > 0) yield endGroup();
  void writer.finish();
  yield take();
}
