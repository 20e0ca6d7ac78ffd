import { randomUUID } from 'node:crypto';
import { ListMultipartUploadsCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll } from 'vitest';
import { openS3Server } from '../../../tests/support/s3-server.ts';
import { createS3Store } from '../src/s3-store.ts';
import { describeFileStoreContract } from './file-store-contract.ts';

let server: Awaited<ReturnType<typeof openS3Server>>;
beforeAll(async () => {
  server = await openS3Server();
  Object.assign(process.env, server.credentials);
});
afterAll(() => server.stop());

describeFileStoreContract('S3', async () => {
  const { endpoint, bucket } = server;
  const options = { endpoint, bucket, prefix: `${randomUUID()}/`, region: 'us-east-1', forcePathStyle: true };
  const client = new S3Client(options);
  return {
    store: createS3Store(options),
    async countLeftovers() {
      const { Uploads = [] } = await client.send(
        new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: options.prefix }),
      );
      return Uploads.length;
    },
    async close() {
      client.destroy();
    },
  };
});
