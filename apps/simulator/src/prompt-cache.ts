import { hash } from 'node:crypto';
import { charsPerToken } from './tokens.ts';

/** The starts of prompts that answered calls had, as OpenAI keeps them: 1024 tokens, and each 128 more. */
export interface PromptCache {
  /** How many tokens of a prompt's start an answered call of the model had too. */
  readonly find: (model: string, prompt: string) => number;
  /** Notes that a call is answered. */
  readonly add: (model: string, prompt: string) => void;
}

const leastTokens = 1024;
const blockTokens = 128;

/** @param capacity most starts remembered. The one noted longest ago is forgotten first. */
export function createPromptCache(capacity: number): PromptCache {
  const known = new Set<string>();
  const keyOf = (model: string, prompt: string, tokens: number): string =>
    hash('sha1', `${model}:${prompt.slice(0, tokens * charsPerToken)}`, 'base64');
  const lengthsOf = (prompt: string): number[] => {
    const lengths = [];
    for (let tokens = leastTokens; tokens * charsPerToken <= prompt.length; tokens += blockTokens) lengths.push(tokens);
    return lengths;
  };
  return {
    find: (model, prompt) => lengthsOf(prompt).findLast((tokens) => known.has(keyOf(model, prompt, tokens))) ?? 0,
    add(model, prompt) {
      for (const tokens of lengthsOf(prompt)) {
        const key = keyOf(model, prompt, tokens);
        known.delete(key);
        known.add(key);
        if (known.size > capacity) known.delete(known.keys().next().value!);
      }
    },
  };
}
