export interface RedisNode {
  readonly host: string;
  readonly port: number;
}

/** How to connect, and with which login. */
export interface RedisAccess {
  readonly tls: boolean;
  readonly username?: string;
  readonly password?: string;
}

/** Where Redis is. A sentinel says which of several servers is the master; a cluster's nodes know each other. */
export type RedisAddress =
  | ({ readonly kind: 'server'; readonly node: RedisNode; readonly database: number } & RedisAccess)
  | { readonly kind: 'socket'; readonly path: string; readonly database: number }
  | ({
      readonly kind: 'sentinel';
      readonly sentinels: readonly RedisNode[];
      /** The name the sentinels know the master by. */
      readonly master: string;
      readonly database: number;
      /** The sentinels' own login, which is not that of the servers they watch. */
      readonly sentinelUsername?: string;
      readonly sentinelPassword?: string;
    } & RedisAccess)
  | ({ readonly kind: 'cluster'; readonly nodes: readonly RedisNode[] } & RedisAccess);

/** What is wrong with a URL, for people. It repeats no part of the URL, which may hold a password. */
export interface InvalidRedisUrl {
  readonly kind: 'invalid';
  readonly problem: string;
}

const forms =
  'must be redis://host:port, rediss://host:port, unix:///path/to/socket, redis+sentinel://host:port,host:port/master ' +
  'or redis+cluster://host:port,host:port';
const defaultPort = 6379;
const defaultSentinelPort = 26_379;

class Problem extends Error {}

const decode = (text: string): string => {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Problem('has a % that is not percent-encoded (write a % in a password as %25)');
  }
};

const parseNode = (text: string, portOtherwise: number): RedisNode => {
  const [, v6, name, port] = /^(?:\[([0-9A-Fa-f:.]+)\]|([\w.-]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = v6 ?? name;
  if (!host) throw new Problem(`${forms}; a / ? # or @ in a password must be percent-encoded`);
  if (port !== undefined && !(Number(port) >= 1 && Number(port) <= 65_535))
    throw new Problem('has a port that is not a number from 1 to 65535');
  return { host, port: port === undefined ? portOtherwise : Number(port) };
};

const parseDatabase = (text: string): number => {
  if (!/^\d{0,5}$/.test(text)) throw new Problem('has a database that is not a number');
  return Number(text);
};

/** Reads the parameters after `?`. Throws for one that is not in `known`. */
const parseQuery = (text: string, known: readonly string[]): Readonly<Record<string, string>> => {
  const query = Object.fromEntries(new URLSearchParams(text));
  if (Object.keys(query).some((name) => !known.includes(name)))
    throw new Problem(
      `has a parameter after ? that is not known${known.length > 0 ? ` (known: ${known.join(', ')})` : ''}`,
    );
  return query;
};

const login = (
  username: string | undefined,
  password: string | undefined,
): Pick<RedisAccess, 'username' | 'password'> => ({
  ...(username ? { username } : {}),
  ...(password ? { password } : {}),
});

const parseSocket = (text: string): RedisAddress => {
  const [path = '', ...query] = text.split('?');
  const { db = '0' } = parseQuery(query.join('?'), ['db']);
  return { kind: 'socket', path, database: parseDatabase(db) };
};

const parseRemote = (text: string): RedisAddress => {
  const parts = /^redis(s?)(?:\+(sentinel|cluster))?:\/\/(?:([^/?#]*)@)?([^/?#@]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/i.exec(
    text,
  );
  if (!parts) throw new Problem(forms);
  const [, s = '', form = '', user, hosts = '', path = '', query = ''] = parts;
  const [, username, password] = /^([^:]*):?(.*)$/s.exec(user ?? '') ?? [];
  const access = { tls: s !== '', ...login(username && decode(username), password && decode(password)) };
  const kind = form.toLowerCase();
  const nodes = hosts
    .split(',')
    .map((host) => parseNode(host, kind === 'sentinel' ? defaultSentinelPort : defaultPort));
  const [node] = nodes;
  if (!node) throw new Problem(forms);
  if (kind === 'sentinel') {
    const { sentinelUsername, sentinelPassword } = parseQuery(query, ['sentinelUsername', 'sentinelPassword']);
    const [master = '', database = '', ...more] = path.split('/');
    if (master === '' || more.length > 0)
      throw new Problem('must name the master that the sentinels watch: redis+sentinel://host:port,host:port/master');
    return {
      kind,
      sentinels: nodes,
      master: decode(master),
      database: parseDatabase(database),
      ...access,
      ...(sentinelUsername ? { sentinelUsername } : {}),
      ...(sentinelPassword ? { sentinelPassword } : {}),
    };
  }
  parseQuery(query, []);
  const database = parseDatabase(path);
  if (kind === 'cluster') {
    if (database > 0) throw new Problem('must name no database: a cluster has only database 0');
    return { kind, nodes, ...access };
  }
  if (nodes.length > 1)
    throw new Problem('names several hosts: write redis+cluster:// or redis+sentinel:// (rediss+… with TLS)');
  return { kind: 'server', node, database, ...access };
};

/**
 * Reads a `REDIS_URL`: `redis://[user:password@]host[:6379][/database]`, a Unix socket (`unix:///path[?db=1]`,
 * `redis+unix:///path`, a plain path), `redis+sentinel://[user:password@]host[:26379],…/master[/database]` or
 * `redis+cluster://[user:password@]host[:6379],…`. `rediss` in place of `redis` means TLS.
 */
export const parseRedisUrl = (url: string): RedisAddress | InvalidRedisUrl => {
  const socket = url.replace(/^(?:redis\+)?unix:(?:\/\/)?(?=\/)/i, '');
  try {
    return /^\/[^/]/.test(socket) ? parseSocket(socket) : parseRemote(url);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return { kind: 'invalid', problem: error.message };
  }
};

/** The part of a URL that may be shown: all but the user, passwords and parameters. */
export const showRedisUrl = (url: string): string => url.replace(/^([a-z+]+:\/\/)[^/]*@/i, '$1').replace(/\?.*$/s, '');
