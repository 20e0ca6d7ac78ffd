import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { builtPath } from '../../deploy/package-content.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** The module that starts an app as a process: its source, or what `build-setup.ts` made of it. */
export const mainPath = (app: 'api' | 'worker' | 'collector' | 'simulator' | 'cli'): string => {
  const source = `apps/${app}/src/main.ts`;
  const folder = process.env['TEST_BUILD'];
  return folder === undefined ? join(root, source) : join(folder, builtPath(source));
};
