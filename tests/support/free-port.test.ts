import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { afterEach, expect, test, vi } from 'vitest';
import { freePort } from './free-port.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

test('a port that was given away is given to nobody else while this process lives', async () => {
  const given = await freePort();
  const drawsIt = (given - 15_000 + 0.5) / 15_000;
  vi.spyOn(Math, 'random').mockReturnValueOnce(drawsIt);
  expect(await freePort()).not.toBe(given);

  const draw = `let drawn = 0; const { random } = Math;
    Math.random = () => (drawn++ === 0 ? ${drawsIt} : random());
    const { freePort } = await import(${JSON.stringify(import.meta.resolve('./free-port.ts'))});
    console.log(await freePort());`;
  const other = spawn(process.execPath, ['--input-type=module', '--eval', draw]);
  const [port, [code]] = await Promise.all([text(other.stdout), once(other, 'exit')]);
  expect(code).toBe(0);
  expect(Number(port)).toBeGreaterThan(0);
  expect(Number(port)).not.toBe(given);
});
