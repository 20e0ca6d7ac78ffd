import type { ApiDependencies } from '../dependencies.ts';
import { fileParams } from '../files/file-schemas.ts';
import { type AnyRoute, route } from '../route.ts';
import { conversionBody, fileConversion, filePreview } from './conversion-schemas.ts';
import { convertFile } from './convert-file.ts';
import { previewFile } from './preview-file.ts';

/** The routes that make requests of files of prompts: texts, JSON lines, tables. */
export const createConversionRoutes = (dependencies: ApiDependencies): AnyRoute[] => [
  route({
    method: 'post',
    path: '/v1/files/{file_id}/preview',
    summary: 'Show the first requests that a file of prompts makes',
    tag: 'Files',
    params: fileParams,
    body: conversionBody,
    answer: { description: 'The first requests, and the columns of the file.', schema: filePreview },
    handle: previewFile(dependencies),
  }),
  route({
    method: 'post',
    path: '/v1/files/{file_id}/convert',
    summary: 'Make an input file of a file of prompts: a text, JSON lines or array, CSV, TSV or Parquet',
    tag: 'Files',
    audit: 'file.convert',
    params: fileParams,
    body: conversionBody,
    answer: {
      description:
        'The new input file, or what is wrong with the prompts. While it takes long, spaces come before the object; an ' +
        'error after 30 s cuts the connection.',
      schema: fileConversion,
    },
    handle: convertFile(dependencies),
  }),
];
