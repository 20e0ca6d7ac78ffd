import { createHash } from 'node:crypto';
import { type Batch, endedAt } from './batch.ts';
import { chatOf } from './webhook-url.ts';

/**
 * What a webhook may be told of. OpenAI has the first four.
 * Source: https://platform.openai.com/docs/api-reference/webhook-events
 */
export const webhookEventTypes = [
  'batch.completed',
  'batch.failed',
  'batch.expired',
  'batch.cancelled',
  /** A limit of its cost is reached. */
  'batch.paused',
  /** A lane of it has been held for five minutes. */
  'batch.stalled',
] as const;

export type WebhookEventType = (typeof webhookEventTypes)[number];

/** Something that has happened to a batch. */
export interface WebhookEvent {
  readonly id: string;
  readonly type: WebhookEventType;
  readonly batchId: string;
  /** Unix seconds. */
  readonly createdAt: number;
  /** For people: chats show it in place of the event. */
  readonly text: string;
}

/** @param occurrence tells one event of this type from another of the same batch */
const newEvent = (event: Omit<WebhookEvent, 'id'>, occurrence: string): WebhookEvent => {
  const content = [event.batchId, event.type, occurrence].join(' ');
  // The same event has the same id, whoever notices it and however often.
  return { id: `evt_${createHash('sha256').update(content).digest('hex').slice(0, 32)}`, ...event };
};

const describeEnd = ({ id, status, errors, total, completed, failed }: Batch): string =>
  status === 'failed'
    ? `Batch ${id} failed: its input was refused (${errors[0]?.code ?? 'unknown'}).`
    : `Batch ${id} is ${status}: ${completed} of ${total} requests were answered, ${failed} failed.`;

const endTypes: Partial<Record<Batch['status'], WebhookEventType>> = {
  completed: 'batch.completed',
  failed: 'batch.failed',
  expired: 'batch.expired',
  cancelled: 'batch.cancelled',
};

/** The end of a batch; undefined while it has not ended. */
export const endOf = (batch: Batch): WebhookEvent | undefined => {
  const type = endTypes[batch.status];
  const createdAt = endedAt(batch);
  if (type === undefined || createdAt === undefined) return undefined;
  return newEvent({ type, batchId: batch.id, createdAt, text: describeEnd(batch) }, '');
};

/** That a limit of a batch's cost is reached; undefined while none is. */
export const costPauseOf = ({ id, costHold }: Pick<Batch, 'id' | 'costHold'>): WebhookEvent | undefined => {
  if (!costHold?.reached) return undefined;
  const { at, reason } = costHold.reached;
  const text = `Batch ${id} is paused. ${reason}`;
  return newEvent({ type: 'batch.paused', batchId: id, createdAt: at, text }, `${costHold.limit} ${at}`);
};

/** For how long a lane is held before its batches count as stalled. */
export const stalledAfterMs = 300_000;

/** A lane that a batch waits for. */
interface WaitedFor {
  readonly lane: string;
  readonly reason: string;
  /** Since when the lane has been held without a success, in Unix milliseconds. */
  readonly sinceMs: number;
}

/** That a batch has waited five minutes for a held lane; undefined before. */
export const stallOf = (
  { id, inProgressAt = 0 }: Pick<Batch, 'id' | 'inProgressAt'>,
  { lane, reason, sinceMs }: WaitedFor,
  nowMs: number,
): WebhookEvent | undefined => {
  const stalledAtMs = Math.max(sinceMs, inProgressAt * 1000) + stalledAfterMs;
  if (nowMs < stalledAtMs) return undefined;
  const text = `Batch ${id} has waited five minutes for the lane ${lane}, which is held: ${reason}.`;
  const createdAt = Math.floor(stalledAtMs / 1000);
  return newEvent({ type: 'batch.stalled', batchId: id, createdAt, text }, `${lane} ${sinceMs}`);
};

/** The event as OpenAI sends it. Source: https://platform.openai.com/docs/api-reference/webhook-events/batch */
export const toEventObject = ({ id, type, createdAt, batchId }: Omit<WebhookEvent, 'text'>) => ({
  id,
  object: 'event' as const,
  created_at: createdAt,
  type,
  data: { id: batchId },
});

/**
 * The body in which a URL gets an event: the event as OpenAI sends it, or its text as a chat takes it.
 * Sources: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks,
 * https://discord.com/developers/docs/resources/webhook#execute-webhook
 */
export const bodyFor = (url: string, event: WebhookEvent): string => {
  const chat = chatOf(url);
  if (chat === 'slack') return JSON.stringify({ text: event.text });
  if (chat === 'discord') return JSON.stringify({ content: event.text, allowed_mentions: { parse: [] } });
  return JSON.stringify(toEventObject(event));
};
