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
export { type InputLine, readInput } from './read-input.ts';
export { sampleInput, type SampleInputOptions } from './sample-input.ts';
export { listSegments, readSegment, readWholeSegment, TornSegmentError } from './read-segment.ts';
export { sortLines, type SortLinesOptions } from './sort-lines.ts';
export { splitLines, type SplitLine, type SplitLinesOptions } from './split-lines.ts';
export { writeSegment } from './write-segment.ts';
