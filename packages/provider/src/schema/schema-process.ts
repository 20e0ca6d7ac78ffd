import { Worker } from 'node:worker_threads';
import type { AnswerSchema } from '@promptmill/core';
import { type CompiledSchema, compileSchema } from './compile-schema.ts';

/** What the process of `schema-checker.ts` is asked. Without a text only the schema is looked at. */
export interface SchemaQuestion {
  readonly schema: string;
  readonly text: string | undefined;
}

export type SchemaVerdict =
  | { readonly kind: 'ok' }
  /** The text does not match. */
  | { readonly kind: 'mismatch'; readonly faults: readonly string[] }
  /** The schema is none. */
  | { readonly kind: 'invalid'; readonly fault: string };

const maxCompiled = 100;

/** The compiled schemas by their texts, the one that was used last at the end. */
const compiled = new Map<string, CompiledSchema>();

const find = (schema: string): CompiledSchema => {
  const found = compiled.get(schema) ?? compileSchema(JSON.parse(schema) as AnswerSchema);
  compiled.delete(schema);
  compiled.set(schema, found);
  const [oldest] = compiled.keys();
  if (compiled.size > maxCompiled && oldest !== undefined) compiled.delete(oldest);
  return found;
};

const judge = ({ schema, text }: SchemaQuestion): SchemaVerdict => {
  const found = find(schema);
  if ('invalid' in found) return { kind: 'invalid', fault: found.invalid };
  const faults = text === undefined ? [] : found.findFaults(text);
  return faults.length === 0 ? { kind: 'ok' } : { kind: 'mismatch', faults };
};

/** A check may take this much time of the processor, in milliseconds; a busy machine does not shorten it. */
const maxCpuMs = 500;

/** Ends this process when a check takes too much of the processor, or its parent has died: the check hears of neither. */
const watch = `
  const end = () => process.kill(${process.pid}, 'SIGKILL');
  const cpuMs = () => { const { user, system } = process.cpuUsage(); return (user + system) / 1000; };
  let endAtMs = Infinity;
  require('node:worker_threads').parentPort.on('message', (isChecking) => {
    endAtMs = isChecking ? cpuMs() + ${maxCpuMs} : Infinity;
  });
  setInterval(() => { if (cpuMs() > endAtMs) end(); }, 50);
  setInterval(() => { try { process.kill(${process.ppid}, 0); } catch { end(); } }, 1000);
`;

const watching = new Worker(watch, { eval: true });
watching.unref();
process.on('message', (question: SchemaQuestion) => {
  watching.postMessage(true);
  process.send?.(judge(question));
  watching.postMessage(false);
});
watching.once('online', () => process.send?.('ready'));
