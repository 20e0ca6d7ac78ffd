import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** Creates a self-signed certificate for 127.0.0.1. A process that is to trust it gets `file`. */
export const createCertificate = async () => {
  const directory = await mkdtemp(join(tmpdir(), 'promptmill-test-tls-'));
  const [key, file] = [join(directory, 'key.pem'), join(directory, 'certificate.pem')];
  const subject = '-x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=redis -addext subjectAltName=IP:127.0.0.1';
  await promisify(execFile)('openssl', ['req', ...subject.split(' '), '-keyout', key, '-out', file]);
  return {
    file,
    key,
    /** Arguments for a Redis that speaks TLS on a port of its own, also to replicas and cluster nodes. */
    redisArguments: (tlsPort: number): string[] =>
      (
        `--tls-port ${tlsPort} --tls-cert-file ${file} --tls-key-file ${key} --tls-ca-cert-file ${file} ` +
        '--tls-auth-clients no --tls-replication yes --tls-cluster yes'
      ).split(' '),
    remove: () => rm(directory, { recursive: true }),
  };
};

export type Certificate = Awaited<ReturnType<typeof createCertificate>>;
