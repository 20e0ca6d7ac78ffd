import type { ApiDependencies } from '../dependencies.ts';
import { type AnyRoute, route } from '../route.ts';
import { addPart } from './add-part.ts';
import { cancelUpload } from './cancel-upload.ts';
import { completeUpload } from './complete-upload.ts';
import { createUpload } from './create-upload.ts';
import {
  completeUploadBody,
  createUploadBody,
  partForm,
  partObject,
  uploadObject,
  uploadParams,
} from './upload-schemas.ts';

/** The routes of uploads in parts. */
export const createUploadRoutes = (dependencies: ApiDependencies): AnyRoute[] => [
  route({
    method: 'post',
    path: '/v1/uploads',
    summary: 'Begin to upload an input file in parts',
    tag: 'Uploads',
    audit: 'upload.create',
    body: createUploadBody,
    answer: { description: 'The upload. It expires in an hour.', schema: uploadObject },
    handle: createUpload(dependencies),
  }),
  route({
    method: 'post',
    path: '/v1/uploads/{upload_id}/parts',
    summary: 'Add a part to an upload, in any order and at the same time as others',
    tag: 'Uploads',
    params: uploadParams,
    form: partForm,
    answer: { description: 'The part.', schema: partObject },
    handle: addPart(dependencies),
  }),
  route({
    method: 'post',
    path: '/v1/uploads/{upload_id}/complete',
    summary: 'Make one input file of the parts of an upload',
    tag: 'Uploads',
    audit: 'upload.complete',
    params: uploadParams,
    body: completeUploadBody,
    answer: {
      description:
        'The upload with its file. The same call again gives the same file. While it takes long, spaces come before ' +
        'the object; an error after 30 s cuts the connection, and the same call again says what it was.',
      schema: uploadObject,
    },
    handle: completeUpload(dependencies),
  }),
  route({
    method: 'post',
    path: '/v1/uploads/{upload_id}/cancel',
    summary: 'Cancel an upload',
    tag: 'Uploads',
    audit: 'upload.cancel',
    params: uploadParams,
    answer: { description: 'The upload, cancelled.', schema: uploadObject },
    handle: cancelUpload(dependencies),
  }),
];
