import { execFile, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { CallLogEntry } from '@promptmill/simulator';
import OpenAI from 'openai';
import { freePort } from '../support/free-port.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const callLog = '/tmp/calls.jsonl';
const healthyTimeoutMs = 120_000;
const maxBuffer = 64 * 1024 * 1024;

const answers = (command: string, ...args: string[]): boolean =>
  spawnSync(command, args, { stdio: 'ignore', timeout: 10_000 }).status === 0;

/** The command that runs Compose on this machine; undefined where there is none, or no Docker that answers. */
export const findCompose = (): readonly string[] | undefined => {
  if (!answers('docker', 'info')) return undefined;
  if (answers('docker-compose', 'version')) return ['docker-compose'];
  if (answers('docker', 'compose', 'version')) return ['docker', 'compose'];
  return undefined;
};

/**
 * The images of docker-compose.yml by their variables. Where Docker can get no image by its exact version, one of the
 * same major version that it has takes its place.
 */
const imagesHere = (): Readonly<Record<string, string>> => {
  const isHere = (image: string): boolean => answers('docker', 'image', 'inspect', image);
  const file = readFileSync(join(root, 'docker-compose.yml'), 'utf8');
  const named = file.matchAll(/\$\{(\w+_IMAGE):-((\w+):(\d+)[^}]*)\}/g);
  return Object.fromEntries(
    [...named].flatMap(([, variable = '', image = '', name = '', major = '']) => {
      if (isHere(image) || spawnSync('docker', ['pull', image], { stdio: 'ignore' }).status === 0) return [];
      const other = `${name}:${major}`;
      if (!isHere(other)) throw new Error(`Docker can get neither ${image} nor ${other}`);
      console.warn(`Docker cannot get ${image}; the test uses ${other}`);
      return [[variable, other]];
    }),
  );
};

/** The part of `docker inspect` that the tests look at. */
export interface Container {
  readonly Id: string;
  readonly Name: string;
  readonly Config: { readonly User: string; readonly Labels: Readonly<Record<string, string>> };
  readonly State: { readonly ExitCode: number; readonly Health?: { readonly Status: string } };
  readonly HostConfig: {
    readonly ReadonlyRootfs: boolean;
    readonly CapDrop: readonly string[] | null;
    readonly SecurityOpt: readonly string[] | null;
    readonly Privileged: boolean;
    readonly Memory: number;
    readonly PidsLimit: number | null;
  };
  readonly NetworkSettings: {
    readonly Ports: Readonly<Record<string, readonly { HostIp: string; HostPort: string }[] | null>>;
    readonly Networks: Readonly<Record<string, unknown>>;
  };
}

export const serviceOf = ({ Config }: Container): string => Config.Labels['com.docker.compose.service'] ?? '';

const docker = async (...args: string[]): Promise<string> =>
  (await promisify(execFile)('docker', args, { maxBuffer })).stdout;

/** Starts the docker-compose project as a user does, under a name and on a port of its own. */
export const startComposeStack = async (
  command: readonly string[],
  { workers, env = {} }: { readonly workers: number; readonly env?: Readonly<Record<string, string>> },
) => {
  const project = `promptmill-test-${randomBytes(4).toString('hex')}`;
  const port = await freePort();
  const images = imagesHere();

  const compose = async (...args: string[]): Promise<string> => {
    const [file = '', ...first] = command;
    // Not the developer's own .env: one in which everything is left out.
    const all = [...first, '--env-file', '.env.example', '--project-name', project, '--profile', 'simulator', ...args];
    const options = {
      cwd: root,
      maxBuffer,
      env: {
        ...process.env,
        PORT: String(port),
        ...images,
        PROMPTMILL_CONFIG: '',
        SIMULATOR_CALL_LOG: callLog,
        ...env,
      },
    };
    return (await promisify(execFile)(file, all, options)).stdout;
  };

  /** All containers but that of `init`, which has ended; or those of one service. */
  const containers = async (service?: string): Promise<Container[]> => {
    const ids = (await compose('ps', '-q', ...(service ? [service] : []))).split('\n').filter((id) => id !== '');
    const all = JSON.parse(await docker('inspect', ...ids)) as Container[];
    return service ? all : all.filter((container) => serviceOf(container) !== 'init');
  };

  const untilHealthy = async (): Promise<void> => {
    const deadline = performance.now() + healthyTimeoutMs;
    for (;;) {
      const waiting = (await containers()).filter(({ State }) => State.Health?.Status !== 'healthy');
      if (waiting.length === 0) return;
      if (performance.now() > deadline)
        throw new Error(
          `not healthy: ${waiting.map(({ Name }) => Name).join(', ')}\n${await compose('logs', '--tail', '20')}`,
        );
      await delay(500);
    }
  };

  const exec = ({ Id }: Container, ...args: string[]): Promise<string> => docker('exec', Id, ...args);
  /** The secrets that the first start made, by their names. */
  const secrets = async (): Promise<Readonly<Record<string, string>>> => {
    const [api] = await containers('api');
    if (!api) throw new Error('there is no api');
    const text = await exec(api, 'cat', '/secrets/api/api.env', '/secrets/roles/redis.env');
    return Object.fromEntries([...text.matchAll(/^(\w+)=(.*)$/gm)].map(([, name, value]) => [name, value]));
  };

  const stack = {
    url: `http://127.0.0.1:${port}`,
    client: new OpenAI({ baseURL: `http://127.0.0.1:${port}/v1`, apiKey: 'not known yet', maxRetries: 0 }),
    secrets,
    compose,
    containers,
    /** Runs a command in a container and resolves with what it printed. */
    exec,
    /** The simulator's own account of its calls. */
    async calls(): Promise<CallLogEntry[]> {
      const [simulator] = await containers('simulator');
      const content = await docker('exec', simulator?.Id ?? '', 'cat', callLog);
      return content
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as CallLogEntry);
    },
    /** Removes the containers, the network, the volumes and the images that were built. */
    async down(): Promise<void> {
      await compose('down', '--volumes', '--remove-orphans', '--rmi', 'local', '--timeout', '10');
    },
  };

  try {
    await compose('up', '--build', '-d', '--scale', `worker=${workers}`);
    await untilHealthy();
    const apiKey = (await secrets())['PROMPTMILL_API_KEYS']?.split(':')[1];
    return { ...stack, client: stack.client.withOptions({ apiKey: apiKey ?? '' }) };
  } catch (error) {
    await stack.down();
    throw error;
  }
};

export type ComposeStack = Awaited<ReturnType<typeof startComposeStack>>;
