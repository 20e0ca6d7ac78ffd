import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { formatTable, show } from './show.ts';

describe('formatTable', () => {
  it('lines up what stands below each title', () => {
    const columns = [{ title: 'BATCH' }, { title: 'DONE', align: 'right' }, { title: 'NOTE' }] as const;
    const rows = [
      ['a', '5 %', 'x\ny'],
      ['batch_1', '100 %', ''],
    ];
    expect(formatTable(columns, rows)).toBe('BATCH     DONE  NOTE\na          5 %  x y\nbatch_1  100 %');
  });
});

describe('show', () => {
  const shown = (stdoutIsTerminal: boolean, json?: boolean): string => {
    const stdout = new PassThrough({ encoding: 'utf8' });
    show({ id: 'a' }, { json, text: () => 'the id\u001B[31m is a' }, { stdout, stdoutIsTerminal });
    return String(stdout.read());
  };

  it('prints text that cannot control it to a terminal, and JSON into a pipe', () => {
    expect(shown(true)).toBe(String.raw`the id\u001b[31m is a` + '\n');
    expect(JSON.parse(shown(false))).toEqual({ id: 'a' });
    expect(JSON.parse(shown(true, true))).toEqual({ id: 'a' });
  });
});
