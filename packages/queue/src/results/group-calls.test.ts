import { expect, test } from 'vitest';
import { groupWhileSending } from './group-calls.ts';

/** Sends groups when the test says so. */
const open = () => {
  const sent: { readonly key: string; readonly members: readonly number[]; readonly end: (error?: Error) => void }[] =
    [];
  const send = groupWhileSending<number, string>(
    (key, members) =>
      new Promise((resolve, reject) => {
        const end = (error?: Error): void => {
          if (error) reject(error);
          else resolve(members.map((member) => `${key}${member}`));
        };
        sent.push({ key, members, end });
      }),
  );
  return { send, sent };
};

test('the first call goes at once, and those that come meanwhile go together after it', async () => {
  const { send, sent } = open();
  const answers = [send('a', 1), send('a', 2), send('a', 3), send('b', 4)];
  expect(sent.map(({ key, members }) => [key, members])).toEqual([
    ['a', [1]],
    ['b', [4]],
  ]);
  for (const { end } of sent.slice()) end();
  await answers[0];
  await expect.poll(() => sent.length).toBe(3);
  expect(sent[2]?.members).toEqual([2, 3]);
  sent[2]?.end();
  expect(await Promise.all(answers)).toEqual(['a1', 'a2', 'a3', 'b4']);
});

test('an error reaches the calls of its group alone', async () => {
  const { send, sent } = open();
  const [first, second] = [send('a', 1), send('a', 2)];
  sent[0]?.end(new Error('away'));
  await expect(first).rejects.toThrow('away');
  await expect.poll(() => sent.length).toBe(2);
  sent[1]?.end();
  expect(await second).toBe('a2');
});
