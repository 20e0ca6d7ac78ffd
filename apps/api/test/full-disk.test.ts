import { beforeEach, describe, expect, inject, it } from 'vitest';
import { mayMount, mountSmallDisk, type SmallDisk } from '../../../tests/support/small-disk.ts';
import { inputFile, lines } from './support/input.ts';
import { startTestApi, type TestApi } from './support/test-api.ts';

describe.runIf(mayMount())('while the disk takes nothing (runs where tmpfs may be mounted)', () => {
  let disk: SmallDisk;
  let api: TestApi;

  beforeEach(async () => {
    disk = await mountSmallDisk(1024);
    return () => disk.unmount();
  });
  beforeEach(async () => {
    api = await startTestApi({ redisUrl: inject('redisUrl'), env: { PROMPTMILL_DATA_DIR: disk.directory } });
    return () => api.close();
  });

  const input = lines(1000);
  const upload = async () => api.alice.files.create({ file: await inputFile(input), purpose: 'batch' });
  const createFromPrompts = () =>
    api.request('/v1/batches', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'simulator/echo', prompts: Array.from({ length: 20 }, () => 'x'.repeat(10_000)) }),
    });

  it.each([
    ['full', 507, 'insufficient_storage', () => disk.fill(64), () => disk.free()],
    ['read-only', 503, 'service_unavailable', () => disk.setReadOnly(true), () => disk.setReadOnly(false)],
  ] as const)('since it is %s, an upload is refused and leaves nothing', async (_, status, code, disturb, heal) => {
    await disturb();
    const error = { message: expect.stringContaining('file store'), type: 'server_error', param: null, code };
    await expect(upload()).rejects.toMatchObject({ status, error });
    const answer = await createFromPrompts();
    expect(answer.status).toBe(status);
    expect(await answer.json()).toEqual({ error });
    expect((await api.alice.files.list()).data).toEqual([]);
    expect((await api.alice.batches.list()).data).toEqual([]);
    expect(await api.stored()).toEqual([]);
    expect(await api.partialUploads()).toEqual([]);

    await heal();
    expect(await upload()).toMatchObject({ bytes: input.length });
    expect((await createFromPrompts()).status).toBe(200);
  });
});
