import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { EncodedFile } from './encode-file.ts';

export interface LoadedPage {
  /** By their paths below the page's own folder of URLs. */
  readonly files: readonly (readonly [path: string, file: EncodedFile])[];
  /** The module that begins. */
  readonly main: string;
  /** The modules of the first view. */
  readonly preloaded: readonly string[];
  /** Where imports by name lead to. */
  readonly names: Readonly<Record<string, string>>;
}

/** Reads all files of the page, strips the types of its modules and compresses them, while the event loop goes on. */
export const loadPage = async (): Promise<LoadedPage> => {
  // Node calls its stripping of types an experiment, once, on stderr.
  const execArgv = ['--disable-warning=ExperimentalWarning'];
  const thread = new Worker(new URL('./page-thread.ts', import.meta.url), { execArgv });
  thread.unref();
  const [loaded] = (await once(thread, 'message')) as [LoadedPage];
  await thread.terminate();
  return loaded;
};
