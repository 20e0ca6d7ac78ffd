import { expect, it } from 'vitest';
import { describeTooLarge, maxDownloadBytes } from './download-file.ts';

it('says how else to get a file that a page cannot hold', () => {
  expect(describeTooLarge({ id: 'file-1', bytes: maxDownloadBytes }, 'http://mill')).toBeUndefined();
  expect(describeTooLarge({ id: 'file-1', bytes: 3e9 }, 'http://mill')).toContain(
    'http://mill/v1/files/file-1/content',
  );
});
