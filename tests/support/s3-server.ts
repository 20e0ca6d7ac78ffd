import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './free-port.ts';

const bucket = 'promptmill';
const secret = 'S3RVER';

/** How tests reach an S3 store. */
export interface S3Access {
  readonly endpoint: string;
  readonly bucket: string;
  /** Environment variables in which the AWS SDK finds the credentials. */
  readonly credentials: Readonly<Record<'AWS_ACCESS_KEY_ID' | 'AWS_SECRET_ACCESS_KEY', string>>;
}

export interface S3Server extends S3Access {
  /** Kills the server with SIGKILL. Its objects stay. */
  kill(): Promise<void>;
  /** Call it after `kill`. It resolves once the server answers at the same endpoint. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Returns the server that TEST_S3_ENDPOINT names, with the bucket TEST_S3_BUCKET (default `promptmill`) and the
 * credentials in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. Without TEST_S3_ENDPOINT it starts a server.
 */
export const openS3Server = async (): Promise<S3Access & { stop(): Promise<void> }> => {
  const { TEST_S3_ENDPOINT: endpoint, TEST_S3_BUCKET: named = bucket } = process.env;
  if (!endpoint) return startS3Server();
  const { AWS_ACCESS_KEY_ID = '', AWS_SECRET_ACCESS_KEY = '' } = process.env;
  const credentials = { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY };
  return { endpoint, bucket: named, credentials, stop: async () => {} };
};

/** Starts an S3 server on 127.0.0.1, as a process that keeps its objects in a temporary folder. */
export const startS3Server = async (): Promise<S3Server> => {
  const directory = await mkdtemp(join(tmpdir(), 'promptmill-test-s3-'));
  const port = await freePort();
  let server: ChildProcess | undefined;

  const start = async (): Promise<void> => {
    const program = join(import.meta.dirname, 's3-server-process.ts');
    // s3rver encrypts its page tokens with DES, which only the legacy provider has.
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
