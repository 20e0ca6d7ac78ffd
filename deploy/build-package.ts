/**
 * `npm pack` runs this before it packs, and removes `dist` afterwards: the one place where Promptmill is built. It needs
 * Node 24 and nothing installed.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { builtFolder, builtPath, createBuilder, neededDependencies, sourcePaths } from './package-content.ts';

const root = join(import.meta.dirname, '..');

const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  dependencies: Record<string, string>;
};
const needed = neededDependencies(root);
if (JSON.stringify(dependencies) !== JSON.stringify(needed)) {
  console.error(
    'package.json must list what apps and packages need from elsewhere, with the versions of pnpm-workspace.yaml:\n' +
      `  "dependencies": ${JSON.stringify(needed, null, 2)}`,
  );
  process.exit(1);
}

rmSync(join(root, builtFolder), { recursive: true, force: true });
const build = createBuilder(root);
for (const path of sourcePaths(root)) {
  const built = join(root, builtPath(path));
  mkdirSync(dirname(built), { recursive: true });
  writeFileSync(built, build(path));
}
