import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { board, keys } from '../../apps/api/test/support/test-api.ts';
import { type SecuritySpace, startSecuritySpace } from './security-space.ts';
import { send } from './send.ts';

let space: SecuritySpace;
const log: string[] = [];

beforeAll(async () => {
  space = await startSecuritySpace({
    env: { PROMPTMILL_METRICS_TOKEN: 'token-of-metrics' },
    onLog: (line) => log.push(line),
  });
});
afterAll(() => space.api.close());

const get = (path: string, authorization: string, address: string) =>
  send(space.api.url + path, { headers: { authorization, 'x-forwarded-for': address } });

const refusedOf = (address: string): string[] =>
  log.filter((line) => line.includes('"audit":true') && line.includes(`"address":"${address}"`));

const basic = (password: string) => `Basic ${btoa(`${board.user}:${password}`)}`;
const bearer = (key: string) => `Bearer ${key}`;

describe.concurrent('300 guesses at once', () => {
  it.for([
    { door: 'an API key', path: '/v1/models', login: bearer, secret: keys.alice, address: '10.9.0.1' },
    { door: 'the Board’s password', path: '/admin/queues', login: basic, secret: board.password, address: '10.9.0.2' },
    { door: 'the metrics’ token', path: '/metrics', login: bearer, secret: 'token-of-metrics', address: '10.9.0.3' },
  ])('of $door are answered slowly or not at all', async ({ path, login, secret, address }, { expect }) => {
    const guess = (i: number) => get(path, login(`guess-number-${i}`), address);
    expect((await get(path, login(secret), address)).status).toBe(200);
    const answers = await Promise.all(Array.from({ length: 300 }, (_, i) => guess(i)));

    const unanswered = answers.filter(({ status }) => status === 429);
    expect(unanswered.length).toBeGreaterThan(250);
    expect(answers.filter(({ status }) => status === 401)).toHaveLength(300 - unanswered.length);
    expect(unanswered[0]?.headers['retry-after']).toBe('2');
    expect(unanswered[0]?.text).toContain('"code":"too_many_failed_logins"');

    // While eight more wait for their answer, a right one tells no more than a wrong one, and holds up nobody else.
    const waiting = Array.from({ length: 9 }, (_, i) => guess(300 + i));
    expect((await Promise.race(waiting)).status).toBe(429);
    // Written in another way, it is one that this address has not shown before.
    const unseen = await get(path, login(secret).replace(' ', '  '), address);
    const seen = await get(path, login(secret), address);
    const elsewhere = await get(path, login(secret), '10.9.9.9');
    expect([unseen.status, seen.status, elsewhere.status]).toEqual([429, 200, 200]);
    const statuses = (await Promise.all(waiting)).map(({ status }) => status);
    expect(statuses.filter((status) => status === 401)).toHaveLength(8);

    // The log says where they came from, and never what was guessed.
    expect(JSON.parse(refusedOf(address)[0] ?? '')).toMatchObject({
      requestId: expect.stringMatching(/^req_/),
      route: path,
    });
    for (const text of ['guess-number', btoa(`${board.user}:gue`), secret]) expect(log.join('')).not.toContain(text);
  });
});

it('a caller without a key is no guesser, however often it comes', async () => {
  const headers = { 'x-forwarded-for': '10.9.1.1' };
  for (let i = 0; i < 30; i++) expect((await space.send('/v1/models', { headers })).status).toBe(401);
});

it('the address is the connection’s where no proxy is trusted', async () => {
  const other = await startSecuritySpace({
    env: { PROMPTMILL_TRUST_PROXY: undefined },
    onLog: (line) => log.push(line),
  });
  const headers = { authorization: 'Bearer guess-number-1', 'x-forwarded-for': '10.9.2.1' };
  expect((await other.send('/v1/models', { headers })).status).toBe(401);
  await other.api.close();
  expect(refusedOf('127.0.0.1')).toHaveLength(1);
});
