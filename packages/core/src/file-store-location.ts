/** Where the bytes of files and segments rest. */
export type FileStoreLocation =
  | {
      readonly kind: 'disk';
      /** Made when the first file is put. It belongs to the store alone, and lies on one filesystem. */
      readonly directory: string;
    }
  | S3Location;

/** A bucket of an S3-compatible store. Who may use it is for the AWS SDK to find out. */
export interface S3Location {
  readonly kind: 's3';
  readonly bucket: string;
  /** Starts every key: `''`, or folders that each end in `/`. No two deployments may share one. */
  readonly prefix: string;
  /** A server's URL; undefined: AWS's own for the region. */
  readonly endpoint?: string;
  readonly region: string;
  /** `endpoint/bucket/key` in place of `bucket.endpoint/key`. */
  readonly forcePathStyle: boolean;
}
