import { AbortMultipartUploadCommand, ListMultipartUploadsCommand, ListPartsCommand } from '@aws-sdk/client-s3';
import type { ListMultipartUploadsCommandOutput, ListPartsCommandOutput, S3Client } from '@aws-sdk/client-s3';
import { isMissing } from './s3-error.ts';

interface Upload {
  readonly Key: string;
  readonly UploadId: string;
}

/** Aborts multipart uploads below `prefix` that began, and got their last part, before `sinceMs`. Returns how many. */
export async function abortAbandonedUploads(
  client: S3Client,
  Bucket: string,
  prefix: string,
  sinceMs: number,
): Promise<number> {
  let aborted = 0;
  for await (const upload of uploadsBegunBefore(client, Bucket, prefix, sinceMs)) {
    // Another process may complete or abort the upload meanwhile.
    try {
      if (await isMoving(client, Bucket, upload, sinceMs)) continue;
      await client.send(new AbortMultipartUploadCommand({ Bucket, ...upload }));
      aborted += 1;
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }
  return aborted;
}

async function* uploadsBegunBefore(
  client: S3Client,
  Bucket: string,
  prefix: string,
  sinceMs: number,
): AsyncGenerator<Upload> {
  let page: ListMultipartUploadsCommandOutput | undefined;
  do {
    page = await client.send(
      new ListMultipartUploadsCommand({
        Bucket,
        Prefix: prefix,
        KeyMarker: page?.NextKeyMarker,
        UploadIdMarker: page?.NextUploadIdMarker,
      }),
    );
    for (const { Key, UploadId, Initiated } of page.Uploads ?? [])
      if (Key && UploadId && Initiated && Initiated.getTime() <= sinceMs) yield { Key, UploadId };
  } while (page.IsTruncated);
}

async function isMoving(client: S3Client, Bucket: string, upload: Upload, sinceMs: number): Promise<boolean> {
  let page: ListPartsCommandOutput | undefined;
  do {
    // Not the SDK's paginator: it only looks at the marker, which some servers send with the last page too.
    page = await client.send(new ListPartsCommand({ Bucket, ...upload, PartNumberMarker: page?.NextPartNumberMarker }));
    for (const { LastModified } of page.Parts ?? []) if (LastModified && LastModified.getTime() > sinceMs) return true;
  } while (page.IsTruncated);
  return false;
}
