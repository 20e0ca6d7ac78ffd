import { globSync, readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, relative } from 'node:path';

/** Where the JavaScript of a package stands in it. The folders below are those of the checkout. */
export const builtFolder = 'dist';

/** The files that run, by their paths in the checkout: sources without their tests, Redis's scripts, and styles. */
export const sourcePaths = (root: string): string[] =>
  globSync('{apps,packages}/*/src/**/*.{ts,lua,css}', { cwd: root })
    .filter((path) => !path.endsWith('.test.ts'))
    .toSorted();

/** `apps/cli/src/main.ts` becomes `dist/apps/cli/src/main.js`. */
export const builtPath = (path: string): string => `${builtFolder}/${path.replace(/\.ts$/, '.js')}`;

const workspaceFolders = (root: string): ReadonlyMap<string, string> =>
  new Map(
    globSync('{apps,packages}/*/package.json', { cwd: root }).map((path) => {
      const { name } = JSON.parse(readFileSync(`${root}/${path}`, 'utf8')) as { name: string };
      return [name, dirname(path)];
    }),
  );

/**
 * Turns the sources of the checkout into JavaScript that runs without it. Node strips no types below `node_modules`, and
 * a package there has no workspace: so types become blanks, which keeps every line where it was, and the names of
 * packages of the workspace become relative paths.
 */
export const createBuilder = (root: string) => {
  const folders = workspaceFolders(root);

  const target = (specifier: string, from: string): string => {
    const [, name = '', part = 'index'] = /^(@[^/]+\/[^/]+)(?:\/(.+))?$/.exec(specifier) ?? [];
    const folder = folders.get(name);
    if (folder === undefined) return specifier.replace(/^(\..*)\.ts$/, '$1.js');
    return relative(dirname(from), `${folder}/src/${part}.js`).replace(/^(?!\.)/, './');
  };

  return (path: string): string => {
    const source = readFileSync(`${root}/${path}`, 'utf8');
    if (!path.endsWith('.ts')) return source;
    const built = stripTypeScriptTypes(source).replaceAll(
      /(\bfrom |\bimport |\bimport\(|\bnew URL\()'([^'\n]+)'/g,
      (_, before: string, specifier: string) => `${before}'${target(specifier, path)}'`,
    );
    const [missed] = /'(\.{1,2}\/[^'\n]*\.ts|@promptmill\/[^'\n]*)'/.exec(built) ?? [];
    if (missed !== undefined) throw new Error(`${path} names ${missed} in a way that a package cannot have`);
    return built;
  };
};

/** What the packages of the workspace need from elsewhere, with the versions of the catalog: `name → range`. */
export const neededDependencies = (root: string): Readonly<Record<string, string>> => {
  const workspace = readFileSync(`${root}/pnpm-workspace.yaml`, 'utf8');
  const versions = new Map(
    [...workspace.matchAll(/^ {2}'?([^\s':]+)'?: (\S+)$/gm)].map(([, name = '', range = '']) => [name, range] as const),
  );
  const names = globSync('{apps,packages}/*/package.json', { cwd: root }).flatMap((path) => {
    const { dependencies = {} } = JSON.parse(readFileSync(`${root}/${path}`, 'utf8')) as {
      dependencies?: Record<string, string>;
    };
    return Object.keys(dependencies).filter((name) => dependencies[name] === 'catalog:');
  });
  return Object.fromEntries([...new Set(names)].toSorted().map((name) => [name, versions.get(name) ?? 'unknown']));
};
