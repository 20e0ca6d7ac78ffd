import { readFileSync } from 'node:fs';
import type { RedisConnection } from './redis.ts';

const source = (name: string): string => readFileSync(new URL(`./scripts/${name}.lua`, import.meta.url), 'utf8');

const scripts = {
  createBatch: { lua: source('create-batch'), numberOfKeys: 1 },
  beginRequest: { lua: source('begin-request'), numberOfKeys: 2 },
  recordResult: { lua: source('record-result'), numberOfKeys: 3 },
  commitSegment: { lua: source('commit-segment'), numberOfKeys: 3 },
  enterLane: { lua: source('enter-lane'), numberOfKeys: 3 },
  countLateCall: { lua: source('count-late-call'), numberOfKeys: 1 },
  leaveLane: { lua: source('leave-lane'), numberOfKeys: 5 },
  setLaneLimits: { lua: source('set-lane-limits'), numberOfKeys: 3 },
  renewLocks: { lua: source('renew-locks'), numberOfKeys: 2 },
  awaitOthers: { lua: source('await-others'), numberOfKeys: 2 },
  blockBatch: { lua: source('block-batch'), numberOfKeys: 1 },
  resultsBytes: { lua: source('results-bytes'), numberOfKeys: 1 },
  takeRetry: { lua: source('take-retry'), numberOfKeys: 1 },
  pauseBatch: { lua: source('pause-batch'), numberOfKeys: 1 },
  linkRetry: { lua: source('link-retry'), numberOfKeys: 1 },
  transitionBatch: { lua: source('transition-batch'), numberOfKeys: 1 },
  isAdrift: { lua: source('is-adrift'), numberOfKeys: 3 },
  recountBatch: { lua: source('recount-batch'), numberOfKeys: 3 },
  advanceCursor: { lua: source('advance-cursor'), numberOfKeys: 2 },
  addToIndex: { lua: source('add-to-index'), numberOfKeys: 2 },
  removeFromIndex: { lua: source('remove-from-index'), numberOfKeys: 3 },
  putFile: { lua: source('put-file'), numberOfKeys: 2 },
  useFile: { lua: source('use-file'), numberOfKeys: 2 },
  deleteFile: { lua: source('delete-file'), numberOfKeys: 4 },
  releaseClaim: { lua: source('release-claim'), numberOfKeys: 1 },
};

type ScriptName = keyof typeof scripts;

/** Runs our scripts on one connection. ioredis sends a script's text once and its digest from then on. */
export type RunScript = (name: ScriptName, ...keysAndArguments: (string | number | Buffer)[]) => Promise<unknown>;

export const createScripts = (redis: RedisConnection): RunScript => {
  for (const [name, definition] of Object.entries(scripts)) redis.defineCommand(name, definition);
  const commands = redis as unknown as Record<ScriptName, (...args: (string | number | Buffer)[]) => Promise<unknown>>;
  return (name, ...args) => commands[name](...args);
};
