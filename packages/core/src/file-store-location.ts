/** Where files and segments are stored. */
export type FileStoreLocation =
  | {
      readonly kind: 'disk';
      /** The store creates it with its first file. It must be on one filesystem, and nothing else may write to it. */
      readonly directory: string;
    }
  | S3Location;

/** A bucket of an S3-compatible store. The AWS SDK finds the credentials. */
export interface S3Location {
  readonly kind: 's3';
  readonly bucket: string;
  /** The start of every key: `''`, or folders that each end in `/`. Each deployment needs a prefix of its own. */
  readonly prefix: string;
  /** The server's URL. Default: AWS's for the region. */
  readonly endpoint?: string;
  readonly region: string;
  /** Whether an object's URL is `endpoint/bucket/key` instead of `bucket.endpoint/key`. */
  readonly forcePathStyle: boolean;
}
