import { expect, it } from 'vitest';
import { createLogger } from './logger.ts';

const logged = (level: string, fields: object): string[] => {
  const lines: string[] = [];
  createLogger({ level, role: 'worker', stream: { write: (line) => lines.push(line) } }).info(fields, 'hello');
  return lines;
};

it('writes the role and the process id', () => {
  const [line = ''] = logged('info', { lane: 'xai' });
  expect(JSON.parse(line)).toMatchObject({ role: 'worker', pid: process.pid, lane: 'xai', msg: 'hello' });
});

it('writes nothing below its level', () => expect(logged('warn', {})).toEqual([]));

it.each([
  { authorization: 'secret' },
  { apiKey: 'secret' },
  { headers: { 'x-api-key': 'secret', cookie: 'secret' } },
  { req: { headers: { authorization: 'secret', 'proxy-authorization': 'secret' } } },
  { lane: { provider: { apiKey: 'secret' } } },
  { config: { board: { password: 'secret' } }, res: { headers: { 'set-cookie': 'secret' } } },
  { config: { apiKeys: [{ tenant: 'a', key: 'secret' }] } },
  { err: Object.assign(new Error('no'), { config: { headers: { authorization: 'secret' } } }) },
])('shows no secret of %j', (fields) => {
  const [line] = logged('info', fields);
  expect(line).toContain('[redacted]');
  expect(line).not.toContain('secret');
});

it('leaves what it is given as it is', () => {
  const fields = { lane: { provider: { apiKey: 'secret', name: 'xai' } }, at: new Date(0) };
  const [line = ''] = logged('info', fields);
  expect(JSON.parse(line)).toMatchObject({ lane: { provider: { name: 'xai' } }, at: '1970-01-01T00:00:00.000Z' });
  expect(fields.lane.provider.apiKey).toBe('secret');
});

it('writes no arguments of a failed Redis command', () => {
  const error = Object.assign(new Error('OOM command not allowed'), {
    command: { name: 'evalsha', args: ['a prompt'] },
  });
  const [line = ''] = logged('info', { err: error });
  expect(JSON.parse(line)).toMatchObject({ err: { message: 'OOM command not allowed', command: 'evalsha' } });
  expect(line).not.toContain('a prompt');
});
