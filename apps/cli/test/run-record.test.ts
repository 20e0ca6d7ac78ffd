import { mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createRunRecordStore } from '../src/run/run-record.ts';
import { writeFileWhole } from '../src/write-file-whole.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'promptmill-record-'));
});

afterEach(() => rm(folder, { recursive: true }));

describe('the run record', () => {
  it('returns what was saved last', async () => {
    const records = createRunRecordStore(join(folder, 'run'));
    expect(await records.load()).toBeUndefined();
    await records.save({ key: 'k' });
    await records.save({ key: 'k', fileId: 'file-1', batchId: 'batch_1', finished: { completed: 2, failed: 1 } });
    expect(await records.load()).toEqual({
      key: 'k',
      fileId: 'file-1',
      batchId: 'batch_1',
      finished: { completed: 2, failed: 1 },
    });
    await records.remove();
    expect(await records.load()).toBeUndefined();
  });

  it('says what to do when it cannot be read', async () => {
    await writeFile(join(folder, 'run.json'), '{"key":');
    await expect(createRunRecordStore(folder).load()).rejects.toMatchObject({ code: 'run_record_unreadable' });
  });
});

async function* breaking(): AsyncGenerator<string> {
  yield 'second\n';
  throw new Error('cut');
}

describe('writeFileWhole', () => {
  it('leaves the old file, and nothing else, when it fails half way', async () => {
    const path = join(folder, 'out.jsonl');
    await writeFileWhole(path, ['first\n'], { access: 'shared' });
    await expect(writeFileWhole(path, breaking(), { access: 'shared' })).rejects.toThrow('cut');
    expect(await readFile(path, 'utf8')).toBe('first\n');
    expect(await readdir(folder)).toEqual(['out.jsonl']);
  });

  it('writes through no link that another user has left in the folder', async () => {
    const victim = join(folder, 'victim');
    const path = join(folder, 'out.jsonl');
    await writeFile(victim, 'mine\n');
    // The name that earlier versions wrote under.
    await symlink(victim, `${path}.${process.pid}.tmp`);
    await symlink(victim, path);
    await writeFileWhole(path, ['results\n'], { access: 'shared' });
    expect(await readFile(victim, 'utf8')).toBe('mine\n');
    expect(await readFile(path, 'utf8')).toBe('results\n');
  });

  it('writes a private file for this user alone, and any other as the umask says', async () => {
    const before = process.umask(0o022);
    try {
      await writeFileWhole(join(folder, 'private'), ['x'], { access: 'private' });
      await writeFileWhole(join(folder, 'shared'), ['x'], { access: 'shared' });
    } finally {
      process.umask(before);
    }
    expect((await stat(join(folder, 'private'))).mode & 0o777).toBe(0o600);
    expect((await stat(join(folder, 'shared'))).mode & 0o777).toBe(0o644);
  });
});
