export { type ApiKeyStore, createApiKeyStore, type StoredApiKeys } from './api-key-store.ts';
export { createDiskStore, type DiskStoreOptions } from './disk-store.ts';
export {
  createDuplicateFinder,
  type Duplicate,
  type DuplicateFinder,
  type DuplicateFinderOptions,
} from './duplicate-finder.ts';
export {
  FileStoreError,
  type ByteRange,
  type FileSource,
  type FileStore,
  type FileStoreErrorCode,
  type StoredFile,
} from './file-store.ts';
export { mergeSegments } from './merge-segments.ts';
export { openFileStore } from './open-file-store.ts';
export { type Advice } from './input/advice.ts';
export { type Choose, countRecords, isBlank, takeAll, takeFirst, takeSample } from './input/choose-records.ts';
export { type Composition, type RowComposition } from './input/composition.ts';
export { type Conversion, convertInput, type ImageUrl, rowOf } from './input/convert-input.ts';
export { describeProblems } from './input/describe-problems.ts';
export { InputError } from './input/input-error.ts';
export {
  detectFormat,
  formatOfName,
  type InputFormat,
  inputFormats,
  isGzip,
  isTable,
  partOf,
} from './input/input-format.ts';
export { type InputRecord } from './input/input-record.ts';
export { placeOf } from './input/place-of.ts';
export { readParquet } from './input/read-parquet.ts';
export { type RecordSource, readRecords } from './input/read-records.ts';
export { type ColumnType, createColumns, typeFits } from './input/table-columns.ts';
export { parseTemplate, type Template, textOfValue } from './input/template.ts';
export { type InputLine, readInput } from './read-input.ts';
export { InputChangedError, type InputRequest, readRequests } from './read-requests.ts';
export { sampleInput, type SampleInputOptions } from './sample-input.ts';
export { listSegments, readSegment, readWholeSegment, TornSegmentError } from './read-segment.ts';
export { createSegmentWriter } from './segment-writer.ts';
export { sortLines, type SortLinesOptions } from './sort-lines.ts';
export { splitLines, type SplitLine, type SplitLinesOptions } from './split-lines.ts';
export { writeSegment } from './write-segment.ts';
