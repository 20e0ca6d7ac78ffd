import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** A certificate for 127.0.0.1 that vouches for itself: whoever is to trust it is given `file`. */
export const createCertificate = async () => {
  const directory = await mkdtemp(join(tmpdir(), 'promptmill-test-tls-'));
  const [key, file] = [join(directory, 'key.pem'), join(directory, 'certificate.pem')];
  const subject = '-x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=redis -addext subjectAltName=IP:127.0.0.1';
  await promisify(execFile)('openssl', ['req', ...subject.split(' '), '-keyout', key, '-out', file]);
  return {
    file,
    /** What a Redis is started with that speaks TLS on a port of its own, also to others like it. */
    redisArguments: (tlsPort: number): string[] =>
      (
        `--tls-port ${tlsPort} --tls-cert-file ${file} --tls-key-file ${key} --tls-ca-cert-file ${file} ` +
        '--tls-auth-clients no --tls-replication yes --tls-cluster yes'
      ).split(' '),
    remove: () => rm(directory, { recursive: true }),
  };
};

export type Certificate = Awaited<ReturnType<typeof createCertificate>>;
