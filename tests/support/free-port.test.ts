import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { afterEach, expect, test, vi } from 'vitest';
import { freePort } from './free-port.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

test('no other call gets the same port while this process lives', async () => {
  const draw = Math.random();
  vi.spyOn(Math, 'random').mockReturnValueOnce(draw).mockReturnValueOnce(draw);
  const given = await freePort();
  expect(await freePort()).not.toBe(given);

  const program = `import { freePort } from ${JSON.stringify(import.meta.resolve('./free-port.ts'))};
    const { random } = Math;
    Math.random = () => {
      Math.random = random;
      return ${draw};
    };
    console.log(await freePort());`;
  const other = spawn(process.execPath, ['--input-type=module', '--eval', program]);
  const [port, [code]] = await Promise.all([text(other.stdout), once(other, 'exit')]);
  expect(code).toBe(0);
  expect(Number(port)).toBeGreaterThan(0);
  expect(Number(port)).not.toBe(given);
});
