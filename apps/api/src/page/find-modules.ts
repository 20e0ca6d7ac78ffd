import { globSync, readFileSync, realpathSync } from 'node:fs';
import { findPackageJSON, stripTypeScriptTypes } from 'node:module';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A JavaScript module of the page, or a style sheet of a library. */
export interface PageModule {
  /** Below the page's own folder of URLs, such as `apps/page/src/main.ts`. */
  readonly path: string;
  readonly content: string;
  /** Whether the page cannot begin without it, so that the browser need not find it import by import. */
  readonly isNeededFirst: boolean;
}

/** The checkout, or the folder `dist` of the npm package: both have the same folders below. */
const root = fileURLToPath(new URL('../../../../', import.meta.url));

interface Library {
  /** By which it is imported. */
  readonly name: string;
  readonly package: string;
  /** The library that needs it, where the page itself does not. */
  readonly neededBy?: string;
  /** What the browser loads. An import gets the first. */
  readonly files: readonly string[];
}

const libraries: readonly Library[] = [
  { name: 'preact', package: 'preact', files: ['dist/preact.mjs'] },
  { name: 'preact/hooks', package: 'preact', files: ['hooks/dist/hooks.mjs'] },
  { name: '@preact/signals', package: '@preact/signals', files: ['dist/signals.mjs'] },
  {
    name: '@preact/signals-core',
    package: '@preact/signals-core',
    neededBy: '@preact/signals',
    files: ['dist/signals-core.mjs'],
  },
  { name: 'htm', package: 'htm', files: ['dist/htm.mjs'] },
  {
    name: 'eventsource-parser',
    package: 'eventsource-parser',
    files: ['dist/index.js', 'dist/parse.js', 'dist/errors.js', 'dist/types.js'],
  },
  { name: 'uplot', package: 'uplot', files: ['dist/uPlot.esm.js'] },
];

const pageFolder = join(root, 'apps/page/src');

/** Where a package is, asked for by the page, or by a library that needs it. */
const folderOf = (name: string, asking = join(pageFolder, 'main.ts')): string => {
  const found = findPackageJSON(name, asking);
  if (found === undefined) throw new Error(`the package ${name} of the page is not installed`);
  // A package finds its own dependencies from where it really is.
  return dirname(realpathSync(found));
};

const readLibrary = ({ package: name, neededBy }: Pick<Library, 'package' | 'neededBy'>, path: string): string => {
  const asking = neededBy === undefined ? undefined : join(folderOf(neededBy), 'package.json');
  // Its source map is not served.
  return readFileSync(join(folderOf(name, asking), path), 'utf8').replace(/^\/\/# sourceMappingURL=.*$/m, '');
};

/** Types become blanks, so that lines and columns stay what they are in the source. */
const readSource = (path: string): string => {
  const source = readFileSync(join(root, path), 'utf8');
  return path.endsWith('.ts') ? stripTypeScriptTypes(source) : source;
};

/** In the npm package the sources are JavaScript already. */
const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';

/** The part of a package of the workspace that the page shares. In the npm package it is imported by its path. */
const shared = { package: 'core', part: 'display' };
const sharedPath = `packages/${shared.package}/src/${shared.part}.${extension}`;

/** That part, with what it exports. */
const sharedPaths = (): string[] => {
  const exported = readFileSync(join(root, sharedPath), 'utf8').matchAll(/ from '\.\/([^']+)'/g);
  return [sharedPath, ...[...exported].map(([, name = '']) => join(dirname(sharedPath), name).replaceAll('\\', '/'))];
};

const pagePaths = (): string[] =>
  globSync(`apps/page/src/**/*.${extension}`, { cwd: root })
    .filter((path) => !/\.test\.[tj]s$/.test(path))
    .map((path) => path.replaceAll('\\', '/'))
    .toSorted();

/** Where the page's imports by name lead to, as paths of modules. */
export const importedNames = (): Readonly<Record<string, string>> => ({
  ...Object.fromEntries(
    libraries.map(({ name, package: folder, files: [file = ''] }) => [name, `libraries/${folder}/${file}`]),
  ),
  [`@promptmill/${shared.package}/${shared.part}`]: sharedPath,
});

/** The module that begins. */
export const mainPath = `apps/page/src/main.${extension}`;

/** The modules that {@link mainPath} imports, and those that these import. What is imported by `import()` is for later. */
const neededFirst = (contents: ReadonlyMap<string, string>): ReadonlySet<string> => {
  const names = importedNames();
  const found = new Set([mainPath]);
  for (const path of found)
    for (const [, specifier = ''] of (contents.get(path) ?? '').matchAll(/(?:\bfrom|\bimport) ?["']([^"']+)["']/g)) {
      const target = specifier.startsWith('.') ? posix.join(dirname(path), specifier) : names[specifier];
      if (target !== undefined && contents.has(target)) found.add(target);
    }
  return found;
};

/** Every module that the page may load. */
export const findModules = (): PageModule[] => {
  const contents = new Map([
    ...[...pagePaths(), ...sharedPaths()].map((path) => [path, readSource(path)] as const),
    ...libraries.flatMap((library) =>
      library.files.map((file) => [`libraries/${library.package}/${file}`, readLibrary(library, file)] as const),
    ),
  ]);
  const first = neededFirst(contents);
  return [...contents].map(([path, content]) => ({ path, content, isNeededFirst: first.has(path) }));
};

/** The style sheets of the page and of its chart, as one. */
export const readStyles = (): string =>
  [
    readLibrary({ package: 'uplot' }, 'dist/uPlot.min.css'),
    ...globSync('**/*.css', { cwd: pageFolder })
      .toSorted()
      .map((path) => readFileSync(join(pageFolder, path), 'utf8')),
  ].join('\n');
