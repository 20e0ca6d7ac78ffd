import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './free-port.ts';

const bucket = 'promptmill';
const secret = 'S3RVER';

/** A store that tests may use. */
export interface S3Access {
  readonly endpoint: string;
  readonly bucket: string;
  /** What the AWS SDK finds credentials by. */
  readonly credentials: Readonly<Record<'AWS_ACCESS_KEY_ID' | 'AWS_SECRET_ACCESS_KEY', string>>;
}

export interface S3Server extends S3Access {
  /** kill -9; objects stay. */
  kill(): Promise<void>;
  /** After `kill`; resolves once it serves, at the same endpoint. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * The server that TEST_S3_ENDPOINT names, with the bucket TEST_S3_BUCKET (default `promptmill`) and the credentials in
 * AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; without it one of its own.
 */
export const openS3Server = async (): Promise<S3Access & { stop(): Promise<void> }> => {
  const { TEST_S3_ENDPOINT: endpoint, TEST_S3_BUCKET: named = bucket } = process.env;
  if (!endpoint) return startS3Server();
  const { AWS_ACCESS_KEY_ID = '', AWS_SECRET_ACCESS_KEY = '' } = process.env;
  const credentials = { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY };
  return { endpoint, bucket: named, credentials, stop: async () => {} };
};

/** An S3 server of its own on 127.0.0.1, as a process that keeps its objects in a temporary folder. */
export const startS3Server = async (): Promise<S3Server> => {
  const directory = await mkdtemp(join(tmpdir(), 'promptmill-test-s3-'));
  const port = await freePort();
  let server: ChildProcess | undefined;

  const start = async (): Promise<void> => {
    const program = join(import.meta.dirname, 's3-server-process.ts');
    // s3rver seals the tokens of its pages with DES.
    const child = spawn(process.execPath, ['--openssl-legacy-provider', program, directory, String(port), bucket], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    server = child;
    const gone = once(child, 'exit').then(([code]) => Promise.reject(new Error(`the S3 server ended with ${code}`)));
    await Promise.race([once(child.stdout, 'data'), gone]);
    gone.catch(() => {});
  };
  const kill = async (): Promise<void> => {
    if (!server || server.exitCode !== null || server.signalCode !== null) return;
    const ended = once(server, 'exit');
    server.kill('SIGKILL');
    await ended;
  };

  await start();
  return {
    endpoint: `http://127.0.0.1:${port}`,
    bucket,
    credentials: { AWS_ACCESS_KEY_ID: secret, AWS_SECRET_ACCESS_KEY: secret },
    kill,
    restart: start,
    async stop() {
      await kill();
      await rm(directory, { recursive: true, force: true });
    },
  };
};
