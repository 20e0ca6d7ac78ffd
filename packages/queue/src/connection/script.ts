import { readFileSync } from 'node:fs';
import type { RedisConnection } from './redis.ts';

type ScriptKeys = readonly string[];
type ScriptArguments = readonly (string | number | Buffer)[];

/** Runs a Lua script on a connection. The types name its KEYS, its ARGV and what it returns, as its header does. */
export type Script<Keys extends ScriptKeys, Arguments extends ScriptArguments, Reply> = (
  redis: RedisConnection,
  keys: Keys,
  args: Arguments,
) => Promise<Reply>;

type Command = (keyCount: number, ...keysAndArguments: ScriptArguments) => Promise<unknown>;

/**
 * Defines a script that stands in a file of its own. Each connection registers it at the first use. ioredis sends the
 * text to each server once, and only its digest afterwards.
 *
 * @param lua its file, beside the caller: `new URL('./check-requests.lua', import.meta.url)`
 * @param parts files of Lua that it uses, perhaps with other scripts. They are inserted after its first line, in order.
 */
export const defineScript = <Keys extends ScriptKeys, Arguments extends ScriptArguments, Reply>(
  lua: URL,
  ...parts: readonly URL[]
): Script<Keys, Arguments, Reply> => {
  const name = lua.pathname.slice(lua.pathname.lastIndexOf('/') + 1);
  const inserted = parts.map((part) => readFileSync(part, 'utf8')).join('');
  const text = readFileSync(lua, 'utf8').replace('\n', () => `\n${inserted}`);
  return (redis, keys, args) => {
    const commands = redis as unknown as Record<string, Command | undefined>;
    if (!Object.hasOwn(commands, name)) redis.defineCommand(name, { lua: text });
    const command = commands[name] as Command;
    return command.call(redis, keys.length, ...keys, ...args) as Promise<Reply>;
  };
};
