import { describe, expect, test } from 'vitest';
import { markerForCall, readMarkers } from './markers.ts';

describe('readMarkers', () => {
  test('finds none in an ordinary prompt', () => {
    expect(readMarkers('What is [[this]]?')).toEqual([]);
  });

  test('reads a status with its headers and times', () => {
    expect(readMarkers('Hi [[sim:status=429;retry-after=2;retry-after-ms=1500;times=2]]')).toEqual([
      { fault: { name: 'status', status: 429, headers: { 'retry-after': '2', 'retry-after-ms': '1500' } }, times: 2 },
    ]);
  });

  test('takes a date as retry-after', () => {
    const [marker] = readMarkers('[[sim:status=503;retry-after=Fri, 20 Nov 2026 10:00:00 GMT]]');
    expect(marker?.fault).toMatchObject({ headers: { 'retry-after': 'Fri, 20 Nov 2026 10:00:00 GMT' } });
  });

  test('reads a fault with a latency of its own', () => {
    expect(readMarkers('[[sim:fault=hang; latency=1500]]')).toEqual([
      { fault: { name: 'hang' }, latencyMs: 1500, times: Infinity },
    ]);
  });

  test('reads a megabyte of starts, ends or line breaks at once', () => {
    // Takes a fraction of a second. Where the time grows with the square of the size, it takes minutes.
    const size = 2 ** 20;
    const startedAt = performance.now();
    for (const piece of ['[[sim:', '[[sim:\n', '[[sim:x\r', '[[[[sim:', ']]', '[[sim:times=1]]'])
      readMarkers(piece.repeat(size / piece.length));
    expect(performance.now() - startedAt).toBeLessThan(15_000);
  });

  test('a marker does not go over a line break', () => {
    expect(readMarkers('[[sim:fault=\nhang]] [[sim:fault=html]]')).toEqual([
      { fault: { name: 'html' }, times: Infinity },
    ]);
  });

  test.each([
    'status=200',
    'status=x',
    'fault=hnag',
    'fault=toString',
    'fault=hang;status=500',
    'times=0',
    'delay=1',
    'mismatch=second',
    '',
  ])('[[sim:%s]] is refused', (content) => {
    expect(() => readMarkers(`[[sim:${content}]]`)).toThrow(
      expect.objectContaining({ status: 400, code: 'invalid_marker' }),
    );
  });
});

describe('markerForCall', () => {
  const markers = readMarkers('[[sim:status=503;times=2]] then [[sim:fault=html;times=1]]');

  test('markers apply one after another, and after the last the call succeeds', () => {
    const names = [1, 2, 3, 4, 5].map((nth) => markerForCall(markers, nth)?.fault?.name);
    expect(names).toEqual(['status', 'status', 'html', undefined, undefined]);
  });

  test('a marker without times applies for ever', () => {
    expect(markerForCall(readMarkers('[[sim:fault=empty]]'), 1_000_000)?.fault).toEqual({ name: 'empty' });
  });
});
