/**
 * Builds what the processes of tests run: the JavaScript of the npm package, with the main module of each app and all that
 * it imports in a few files instead of a thousand.
 *
 *   node tests/support/build-process.ts <folder>
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { rolldown } from 'rolldown';
import { builtFolder, builtPath, createBuilder, sourcePaths } from '../../deploy/package-content.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const folder = process.argv[2] ?? '';

const contentOf = createBuilder(root);
for (const path of sourcePaths(root)) {
  const target = join(folder, builtPath(path));
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, contentOf(path));
}

const apps = ['api', 'cli', 'collector', 'simulator', 'worker'];
const bundle = await rolldown({
  input: Object.fromEntries(apps.map((app) => [app, join(folder, builtPath(`apps/${app}/src/main.ts`))])),
  platform: 'node',
  // They find files of their own by where they are.
  external: /^(?:@bull-board\/|pino$|swagger-ui-dist)/,
  logLevel: 'warn',
  plugins: [
    {
      name: 'where modules are',
      // A module finds its Lua, and the modules of its threads, beside where it was.
      transform: (code, id) =>
        id.startsWith(join(folder, builtFolder)) && code.includes('import.meta.url')
          ? code.replaceAll('import.meta.url', JSON.stringify(pathToFileURL(id)))
          : undefined,
    },
  ],
});
await bundle.write({ dir: folder, format: 'esm', entryFileNames: '[name].js', chunkFileNames: 'shared-[hash].js' });
await bundle.close();
