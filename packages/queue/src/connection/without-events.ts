import type { RedisConnection } from './redis.ts';

/** A statement in BullMQ's scripts that adds an event to a queue's stream of events, or that trims the stream. */
const eventStatement =
  /^[ \t]*(?:rcall\("XADD", events?(?:Stream)?Key,[^()]*\)|trimEvents\(metaKey, eventStreamKey\))$/gm;

/**
 * Keeps BullMQ from noting events. It notes four for each job, which cost Redis a tenth of the job, and nothing reads
 * them: neither workers nor Bull Board do. BullMQ has no option for it, so the statements are taken out of its scripts
 * when it registers them. In a version whose statements look otherwise, events are noted again.
 */
export const withoutEvents = <Connection extends RedisConnection>(redis: Connection): Connection => {
  const define = redis.defineCommand.bind(redis);
  redis.defineCommand = (name, definition) =>
    define(name, { ...definition, lua: definition.lua.replaceAll(eventStatement, '') });
  return redis;
};
