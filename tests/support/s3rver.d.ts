/** Types for the parts of s3rver 3.7 that are used here: it has none of its own. */
declare module 's3rver' {
  import type { Readable } from 'node:stream';

  interface StoredObject {
    readonly bucket: string;
    readonly key: string;
    readonly content: Readable | Buffer;
    readonly metadata: Readonly<Record<string, string>>;
  }

  interface Stored {
    readonly size: number;
    readonly md5: string;
  }

  interface Range {
    readonly start?: number;
    readonly end?: number;
  }

  interface Store {
    getResourcePath(bucket: string, key: string | undefined, resource: string): string;
    putMetadata(bucket: string, key: string, metadata: StoredObject['metadata'], md5: string): Promise<void>;
    getObject(bucket: string, key: string, range?: Range): Promise<unknown>;
    getMetadata(bucket: string, key: string): Promise<Readonly<Record<string, string | number>>>;
    listObjects(bucket: string, options: object): Promise<unknown>;
    putObject(object: StoredObject): Promise<Stored>;
    deleteObject(bucket: string, key: string): Promise<void>;
    putPart(bucket: string, uploadId: string, partNumber: string, content: Readable): Promise<Stored>;
  }

  interface Context {
    readonly method: string;
    readonly path: string;
    readonly query: Readonly<Record<string, string | undefined>>;
    status: number;
    type: string;
    body: unknown;
  }

  export default class S3rver {
    constructor(options: {
      address: string;
      port: number;
      directory: string;
      silent: boolean;
      vhostBuckets: boolean;
      configureBuckets: readonly { name: string }[];
    });
    readonly store: Store;
    readonly middleware: ((context: Context, next: () => Promise<void>) => Promise<void>)[];
    run(): Promise<{ readonly port: number }>;
  }
}
