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

/** Ends this process when its parent has died: a check that takes for ever does not hear of that. */
const watchParent = `setInterval(() => {
  try { process.kill(${process.ppid}, 0); } catch { process.kill(${process.pid}, 'SIGKILL'); }
}, 1000);`;

new Worker(watchParent, { eval: true }).unref();
process.on('message', (question: SchemaQuestion) => process.send?.(judge(question)));
process.send?.('ready');
