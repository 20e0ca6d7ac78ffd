/**
 * Makes the secrets of docker-compose.yml, each in a volume of its own, and those of the chart in helm/, unless they are
 * there. It prints where docker-compose has them.
 *
 *   node deploy/make-secrets.ts [FOLDER [REDIS_HOST]]      default: /secrets redis
 *
 *   api/api.env       an api key and Bull Board's login; only the api has this volume
 *   roles/redis.env   the URL of Redis with its password; api, workers and collectors have it
 *   redis/users.acl   the users of Redis, with the password's SHA-256; only Redis has it
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const [folder = '/secrets', redisHost = 'redis'] = process.argv.slice(2);
const random = (): string => randomBytes(24).toString('hex');

/** A killed run leaves a file whole or not at all. */
const write = (path: string, content: string, mode: number): void => {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.new`, content, { mode });
  renameSync(`${path}.new`, path);
};

const readOrMake = (path: string, make: () => string): string => {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    const content = make();
    write(path, content, 0o600);
    return content;
  }
};

readOrMake(
  join(folder, 'api/api.env'),
  () => `# What .env says comes before what is here.
PROMPTMILL_API_KEYS=local:pm-${random()}
BOARD_USER=promptmill
BOARD_PASSWORD=${random()}
`,
);

const login = readOrMake(
  join(folder, 'roles/redis.env'),
  () => `REDIS_URL=redis://promptmill:${random()}@${redisHost}:6379\n`,
);
const password = /:([0-9a-f]+)@/.exec(login)?.[1];
if (password === undefined) throw new Error(`${join(folder, 'roles/redis.env')} has no password: remove it`);

const hash = createHash('sha256').update(password).digest('hex');

// The permissions are those of docs/operations.md. Redis runs as another user, who must read this file; it holds no secret.
const permissions = '-@all +@read +@write +@pubsub +@scripting +@connection -@dangerous +info +time';
write(
  join(folder, 'redis/users.acl'),
  `user default off
user promptmill on #${hash} ~pm:* &pm:* ${permissions}
user health on nopass -@all +ping
user backup on #${hash} -@all +ping +sync +psync +replconf
`,
  0o644,
);

console.log('The api key and the login of Bull Board: docker-compose exec api cat /secrets/api/api.env');
