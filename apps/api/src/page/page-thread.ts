import { parentPort } from 'node:worker_threads';
import { encodeFile } from './encode-file.ts';
import { findModules, importedNames, mainPath, readStyles } from './find-modules.ts';
import type { LoadedPage } from './load-page.ts';

/** The thread of `load-page.ts`: it reads, strips and compresses for half a second. */
const modules = findModules();
const files = await Promise.all([
  ...modules.map(async ({ path, content }) => [path, await encodeFile('text/javascript', content)] as const),
  encodeFile('text/css', readStyles()).then((file) => ['page.css', file] as const),
]);
parentPort?.postMessage({
  files,
  main: mainPath,
  preloaded: modules.filter(({ isNeededFirst }) => isNeededFirst).map(({ path }) => path),
  names: importedNames(),
} satisfies LoadedPage);
