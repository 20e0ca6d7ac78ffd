import { describe, expect, it } from 'vitest';
import { createServesHost, hostNameOf } from './host-names.ts';

it.each([
  ['localhost', 'localhost'],
  ['LocalHost.:3000', 'localhost'],
  ['127.0.0.1:3000', '127.0.0.1'],
  ['[::1]:3000', '::1'],
  ['[FD00::5]', 'fd00::5'],
  ['mill.example.com:443', 'mill.example.com'],
  [undefined, undefined],
  ['', undefined],
  ['::1', undefined],
  ['[::1', undefined],
  ['a@localhost', undefined],
  ['localhost/x', undefined],
  ['localhost:x', undefined],
  ['evil.example localhost', undefined],
])('the Host %j names %j', (header, name) => {
  expect(hostNameOf(header)).toBe(name);
});

describe('without keys', () => {
  const serves = createServesHost({ host: '127.0.0.1', allowedHosts: ['mill.example.com', '*.mill.test'] }, () => true);

  it.each(['localhost', 'mill.localhost', '127.0.0.1', '127.9.9.9', '::1', 'mill.example.com', 'a.mill.test'])(
    'the api serves %s',
    (name) => expect(serves(name)).toBe(true),
  );

  it.each([
    'evil.example',
    '127.0.0.1.evil.example',
    'localhost.evil.example',
    'evillocalhost',
    'mill.test',
    'evilmill.test',
    '0.0.0.0',
    '10.0.0.1',
    undefined,
  ])('the api does not serve %s', (name) => expect(serves(name)).toBe(false));
});

it('with keys the api serves any name, unless the names are listed', () => {
  const config = { host: '0.0.0.0' };
  expect(createServesHost(config, () => false)('evil.example')).toBe(true);
  const serves = createServesHost({ ...config, allowedHosts: ['mill.example.com'] }, () => false);
  expect([serves('mill.example.com'), serves('localhost'), serves('evil.example')]).toEqual([true, true, false]);
});
