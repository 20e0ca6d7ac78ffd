import { ApiError } from '@promptmill/core';
import type { Request, Response } from 'express';
import { expect, it } from 'vitest';
import { createLogins } from './logins.ts';

const refuse = (): never => {
  throw new ApiError(401, 'no');
};

const start = () => {
  const waits: number[] = [];
  let nowMs = 0;
  const logins = createLogins({
    now: () => nowMs,
    wait: async (ms) => waits.push(ms),
  });
  const response = { locals: { requestId: 'req_1' }, set() {} } as unknown as Response;
  return {
    waits,
    pass: (ms: number) => (nowMs += ms),
    guess: async (ip: string) => {
      const request = { ip, headers: { authorization: 'Bearer x' } } as Request;
      await logins.check(request, response, refuse).catch(() => {});
    },
  };
};

it('answers each failure after the tenth later than the one before it, up to 2 s', async () => {
  const { guess, waits } = start();
  for (let i = 0; i < 18; i++) await guess('10.0.0.1');
  expect(waits).toEqual([100, 200, 400, 800, 1600, 2000, 2000, 2000]);
});

it('counts for a minute, and each address by itself', async () => {
  const { guess, waits, pass } = start();
  for (let i = 0; i < 10; i++) await guess('10.0.0.1');
  await guess('10.0.0.2');
  pass(60_000);
  for (let i = 0; i < 10; i++) await guess('10.0.0.1');
  expect(waits).toEqual([]);
  await guess('10.0.0.1');
  expect(waits).toEqual([100]);
});

it('takes a machine’s IPv6 addresses as one', async () => {
  const { guess, waits } = start();
  for (let i = 0; i < 11; i++) await guess(`2001:db8::${i}`);
  expect(waits).toEqual([100]);
});
