import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Certificate } from './certificate.ts';
import { freePort } from './free-port.ts';

const examples = fileURLToPath(new URL('../../deploy/', import.meta.url));
const startTimeoutMs = 10_000;
const path = `${process.env['PATH']}:/usr/sbin:/usr/local/sbin`;

/** What an example has in place of a real installation's, and this test's own. */
interface Place {
  readonly directory: string;
  readonly port: number;
  readonly apiPort: number;
  readonly certificate: Certificate;
}

/** How each proxy is started with the example in `deploy/`, of which only names, ports and paths are changed. */
const proxies = {
  nginx: async ({ directory, port, apiPort, certificate }: Place): Promise<string[]> => {
    const example = (await readFile(join(examples, 'nginx.conf'), 'utf8'))
      .replace('server 127.0.0.1:3000;', `server 127.0.0.1:${apiPort};`)
      .replace('listen 80;', `listen 127.0.0.1:${await freePort()};`)
      .replace('listen 443 ssl', `listen 127.0.0.1:${port} ssl`)
      .replace(/ssl_certificate .*;/, `ssl_certificate ${certificate.file};`)
      .replace(/ssl_certificate_key .*;/, `ssl_certificate_key ${certificate.key};`);
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
      .map((name) => `${name}_temp_path ${join(directory, name)};`)
      .join(' ');
    const file = join(directory, 'nginx.conf');
    const user = process.getuid?.() === 0 ? 'user root root;' : '';
    const main = `${user} pid ${join(directory, 'pid')}; daemon off; error_log stderr; events {}`;
    await writeFile(file, `${main} http { access_log off; ${temporary}\n${example}\n}\n`);
    return ['-c', file, '-e', 'stderr'];
  },
  caddy: async ({ directory, port, apiPort, certificate }: Place): Promise<string[]> => {
    const example = (await readFile(join(examples, 'Caddyfile'), 'utf8'))
      .replaceAll('127.0.0.1:3000', `127.0.0.1:${apiPort}`)
      .replace(/^mill.example.com \{/m, `https://127.0.0.1:${port} {\n\ttls ${certificate.file} ${certificate.key}`);
    const file = join(directory, 'Caddyfile');
    const options = '{\n\tadmin off\n\tauto_https disable_redirects\n\tservers {\n\t\tprotocols h1 h2\n\t}\n}\n';
    await writeFile(file, `${options}${example}`);
    return ['run', '--config', file, '--adapter', 'caddyfile'];
  },
};

export type ProxyName = keyof typeof proxies;
export const proxyNames = Object.keys(proxies) as readonly ProxyName[];

/** Whether a proxy is installed on this machine. */
export const hasProxy = (name: ProxyName): boolean =>
  spawnSync(name, [name === 'nginx' ? '-v' : 'version'], { stdio: 'ignore', env: { PATH: path } }).status === 0;

const untilListening = async (url: string, child: ChildProcess, log: () => string): Promise<void> => {
  const deadline = performance.now() + startTimeoutMs;
  while (performance.now() < deadline && child.exitCode === null) {
    if (await fetch(url).catch(() => undefined)) return;
    await delay(20);
  }
  throw new Error(`the proxy does not answer:\n${log()}`);
};

/** Starts a proxy with its example before an api. */
export const startReverseProxy = async (name: ProxyName, apiPort: number, certificate: Certificate) => {
  const directory = await mkdtemp(join(tmpdir(), 'promptmill-test-proxy-'));
  const port = await freePort();
  const args = await proxies[name]({ directory, port, apiPort, certificate });
  const child = spawn(name, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: path, HOME: directory, XDG_DATA_HOME: directory, XDG_CONFIG_HOME: directory },
  });
  let log = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (log += String(data)));
  const stop = async (): Promise<void> => {
    if (child.exitCode === null) {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    }
    await rm(directory, { recursive: true, force: true });
  };
  const url = `https://127.0.0.1:${port}`;
  try {
    await untilListening(url, child, () => log);
    return { url, stop };
  } catch (error) {
    await stop();
    throw error;
  }
};

export type ReverseProxy = Awaited<ReturnType<typeof startReverseProxy>>;
