/**
 * Builds what the processes of tests run: the JavaScript of the npm package, with the libraries in a few files instead of
 * a thousand.
 *
 *   node tests/support/build-process.ts <folder>
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { builtPath, createBuilder, neededDependencies, sourcePaths } from '../../deploy/package-content.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Libraries that find files of their own by where they are, or start threads. */
const unbundled = /^(?:@bull-board\/|pino$|swagger-ui-dist$)/;
const imported = /(\bfrom |\bimport |\bimport\()'([@a-z][^'\n]*)'/g;

const fileOf = (specifier: string): string => `${specifier.replaceAll('/', '-')}.js`;

/** Writes each library, and what it needs, as one module; what several of them need is in further ones. */
const bundleLibraries = async (specifiers: readonly string[], folder: string): Promise<void> => {
  const entries = new Map<string, string>();
  for (const specifier of specifiers) {
    // Only Node knows the names that a CommonJS module exports.
    const exported = Object.keys((await import(specifier)) as object);
    const names = exported.filter((name) => name !== 'module.exports').join(', ');
    entries.set(`entry:${specifier}`, `export { ${names} } from '${specifier}';`);
  }
  const bundle = await rolldown({
    cwd: root,
    input: Object.fromEntries(specifiers.map((specifier) => [fileOf(specifier), `entry:${specifier}`])),
    platform: 'node',
    external: unbundled,
    logLevel: 'warn',
    plugins: [
      {
        name: 'entries',
        resolveId: (id) => (entries.has(id) ? id : undefined),
        load: (id) => entries.get(id),
      },
    ],
  });
  await bundle.write({ dir: folder, format: 'esm', entryFileNames: '[name]', chunkFileNames: 'shared-[hash].js' });
  await bundle.close();
};

/** Writes the JavaScript of the npm package into a folder, with imports of bundled libraries. */
const build = async (folder: string): Promise<void> => {
  const contentOf = createBuilder(root);
  const sources = sourcePaths(root).map((path) => ({ path, content: contentOf(path) }));
  const libraries = Object.keys(neededDependencies(root)).filter((name) => !unbundled.test(name));
  const isLibrary = (specifier: string): boolean =>
    libraries.some((name) => specifier === name || specifier.startsWith(`${name}/`));
  // A browser loads the page's modules as they are.
  const forNode = sources.filter(({ path }) => path.endsWith('.ts') && !path.startsWith('apps/page/'));
  const found = forNode.flatMap(({ content }) =>
    [...content.matchAll(imported)].map(([, , specifier = '']) => specifier),
  );
  const specifiers = [...new Set(found.filter(isLibrary))].toSorted();

  const versions = createHash('sha256').update(readFileSync(join(root, 'pnpm-lock.yaml')));
  const librariesFolder = join(
    dirname(folder),
    `libraries-${versions.update(specifiers.join()).digest('hex').slice(0, 12)}`,
  );
  if (!existsSync(librariesFolder)) {
    await bundleLibraries(specifiers, `${folder}-libraries`);
    // Another test run may have been quicker.
    if (existsSync(librariesFolder)) rmSync(`${folder}-libraries`, { recursive: true });
    else renameSync(`${folder}-libraries`, librariesFolder);
  }
  for (const { path, content } of sources) {
    const target = join(folder, builtPath(path));
    const importedFrom = (specifier: string): string =>
      isLibrary(specifier) ? relative(dirname(target), join(librariesFolder, fileOf(specifier))) : specifier;
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(
      target,
      path.startsWith('apps/page/')
        ? content
        : content.replaceAll(
            imported,
            (_, before: string, specifier: string) => `${before}'${importedFrom(specifier)}'`,
          ),
    );
  }
};

await build(process.argv[2] ?? '');
