import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { keys } from '../../apps/api/test/support/test-api.ts';
import { type SecuritySpace, startSecuritySpace } from './security-space.ts';

let space: SecuritySpace;

beforeAll(async () => {
  space = await startSecuritySpace();
});
afterAll(() => space.api.close());

describe.concurrent('a body that is announced, not needed and never sent keeps no connection', () => {
  it.for([
    ['GET /v1/models', 200],
    ['GET /v1/nothing', 404],
    ['GET /livez', 200],
    ['DELETE /v1/files/file-0', 404],
    ['POST /v1/batches/batch_0/cancel', 404],
  ] as const)('%s', async ([start, status], { expect }) => {
    const socket = connect(Number(new URL(space.api.url).port), '127.0.0.1');
    const closed = once(socket, 'close');
    const authorization = `Bearer ${keys.alice}`;
    socket.write(
      `${start} HTTP/1.1\r\nhost: localhost\r\nauthorization: ${authorization}\r\ncontent-length: 1000000\r\n\r\n{`,
    );
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    const startedAt = performance.now();
    await closed;
    expect(performance.now() - startedAt).toBeLessThan(10_000);
  });
});
