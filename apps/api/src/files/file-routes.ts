import type { ApiDependencies } from '../dependencies.ts';
import { deleteFile } from './delete-file.ts';
import { deletedFile, fileObject, filePage, fileParams, fileQuery, rangeHeader, uploadForm } from './file-schemas.ts';
import { getFile } from './get-file.ts';
import { listFiles } from './list-files.ts';
import { readFileContent } from './read-file-content.ts';
import { uploadFile } from './upload-file.ts';
import { idempotencyHeaders } from '../idempotency.ts';
import { type AnyRoute, route } from '../route.ts';

/** The routes of files. */
export const createFileRoutes = (dependencies: ApiDependencies): AnyRoute[] => [
  route({
    method: 'post',
    path: '/v1/files',
    summary: 'Upload an input file',
    tag: 'Files',
    audit: 'file.create',
    headers: idempotencyHeaders,
    form: uploadForm,
    answer: { description: 'The file. A problem in it fails a batch that is made from it.', schema: fileObject },
    handle: uploadFile(dependencies),
  }),
  route({
    method: 'get',
    path: '/v1/files',
    summary: 'List files',
    tag: 'Files',
    query: fileQuery,
    answer: { description: 'A page of files.', schema: filePage },
    handle: listFiles(dependencies),
  }),
  route({
    method: 'get',
    path: '/v1/files/{file_id}',
    summary: 'Retrieve a file',
    tag: 'Files',
    params: fileParams,
    answer: { description: 'The file.', schema: fileObject },
    handle: getFile(dependencies),
  }),
  route({
    method: 'delete',
    path: '/v1/files/{file_id}',
    summary: 'Delete a file that no running batch needs',
    tag: 'Files',
    audit: 'file.delete',
    params: fileParams,
    answer: { description: 'The file is gone.', schema: deletedFile },
    handle: deleteFile(dependencies),
  }),
  route({
    method: 'get',
    path: '/v1/files/{file_id}/content',
    summary: 'Download a file',
    tag: 'Files',
    params: fileParams,
    headers: rangeHeader,
    answer: { description: 'The content; 206 with a range of it.', type: 'application/octet-stream' },
    handle: readFileContent(dependencies),
  }),
];
