import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** The module that starts an app as a process: its source, or what `build-setup.ts` made of it. */
export const mainPath = (app: 'api' | 'worker' | 'collector' | 'simulator' | 'cli'): string => {
  const folder = process.env['TEST_BUILD'];
  return folder === undefined ? join(root, `apps/${app}/src/main.ts`) : join(folder, `${app}.js`);
};
