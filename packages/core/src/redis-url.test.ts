import { expect, test } from 'vitest';
import { parseRedisUrl, showRedisUrl } from './redis-url.ts';

const node = (host: string, port = 6379) => ({ host, port });

test.each([
  ['redis://redis', { kind: 'server', node: node('redis'), database: 0, tls: false }],
  ['redis://127.0.0.1:6380/2', { kind: 'server', node: node('127.0.0.1', 6380), database: 2, tls: false }],
  ['redis://[::1]:6380/', { kind: 'server', node: node('::1', 6380), database: 0, tls: false }],
  [
    'rediss://mill:p%40ss%2Fword:1@redis.example.com',
    {
      kind: 'server',
      node: node('redis.example.com'),
      database: 0,
      tls: true,
      username: 'mill',
      password: 'p@ss/word:1',
    },
  ],
  ['redis://:pass@redis', { kind: 'server', node: node('redis'), database: 0, tls: false, password: 'pass' }],
  ['unix:///run/redis.sock', { kind: 'socket', path: '/run/redis.sock', database: 0 }],
  ['unix:/run/redis.sock', { kind: 'socket', path: '/run/redis.sock', database: 0 }],
  ['redis+unix:///run/redis.sock?db=2', { kind: 'socket', path: '/run/redis.sock', database: 2 }],
  ['/run/redis.sock', { kind: 'socket', path: '/run/redis.sock', database: 0 }],
  [
    'redis+sentinel://mill:pass@a,b:26380/main/3?sentinelPassword=other',
    {
      kind: 'sentinel',
      sentinels: [node('a', 26_379), node('b', 26_380)],
      master: 'main',
      database: 3,
      tls: false,
      username: 'mill',
      password: 'pass',
      sentinelPassword: 'other',
    },
  ],
  [
    'rediss+sentinel://a/main',
    { kind: 'sentinel', sentinels: [node('a', 26_379)], master: 'main', database: 0, tls: true },
  ],
  [
    'redis+cluster://a:7000,b,[fd00::1]:7002',
    {
      kind: 'cluster',
      nodes: [node('a', 7000), node('b'), node('fd00::1', 7002)],
      tls: false,
    },
  ],
  ['rediss+cluster://:pass@a/', { kind: 'cluster', nodes: [node('a')], tls: true, password: 'pass' }],
])('%s gives its address', (url, address) => {
  expect(parseRedisUrl(url)).toEqual(address);
});

test.each([
  ['http://:pa55@redis', 'must be redis://host:port'],
  ['redis://', 'must be redis://host:port'],
  ['redis', 'must be redis://host:port'],
  ['//redis', 'must be redis://host:port'],
  ['redis://re dis:pa55', 'must be redis://host:port'],
  ['redis://:pa55/word@redis', 'a / ? # or @ in a password must be percent-encoded'],
  ['redis://:pa55%word@redis', 'write a % in a password as %25'],
  ['redis://redis:70000', 'not a number from 1 to 65535'],
  ['redis://redis/pa55', 'a database that is not a number'],
  ['redis://redis?pa55=1', 'a parameter after ? that is not known'],
  ['redis://a,b', 'names several hosts: write redis+cluster://'],
  ['redis+cluster://a/1', 'a cluster has only database 0'],
  ['redis+sentinel://:pa55@a', 'must name the master'],
  ['redis+sentinel://a/main/1/2', 'must name the master'],
  ['redis+other://:pa55@a', 'must be redis://host:port'],
])('%s is refused with a message that repeats none of it', (url, problem) => {
  const parsed = parseRedisUrl(url);
  expect(parsed).toEqual({ kind: 'invalid', problem: expect.stringContaining(problem) });
  expect(JSON.stringify(parsed)).not.toContain('pa55');
});

test.each([
  ['redis://redis:6379/1', 'redis://redis:6379/1'],
  ['rediss://user:p@55@redis', 'rediss://redis'],
  ['redis+sentinel://:p@a,b/main?sentinelPassword=p', 'redis+sentinel://a,b/main'],
  ['/run/redis.sock?db=1', '/run/redis.sock'],
])('%s is shown as %s', (url, shown) => {
  expect(showRedisUrl(url)).toBe(shown);
});
