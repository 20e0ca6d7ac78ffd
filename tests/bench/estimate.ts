/**
 * Asks what a batch will cost before it runs, and runs it: with none, 20 and 200 answers of its model known. Prints the
 * estimate beside the bill, and fails when with 200 known answers it is off by more than 10 %. The provider counts tokens in
 * its own way, and its answers are of random length (`large`) or as long as the prompts (`echo`).
 *
 *   node tests/bench/estimate.ts [--requests 1000]
 */
import { parseArgs } from 'node:util';
import { createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { extensionOf } from '../support/costs.ts';
import { startMeasuredStack } from './measured-stack.ts';

const { values } = parseArgs({ options: { requests: { type: 'string', default: '1000' } } });
const requests = Number(values.requests);
const knownAnswers = [0, 20, 200];
const allowedError = 0.1;

const articles = ['the history of the lighthouse', 'soil and rain', 'how a bridge is tested', 'the price of salt'];
const sentence = 'The committee met on Tuesday and agreed to look at the figures again before the end of the month. ';
/** Prompts such as scripts send: a short question, an item in a template, a text to work on. */
const promptsByKind: Readonly<Record<string, (index: number) => string>> = {
  question: (i) => `Question ${i}: what should a beginner know about ${articles[i % articles.length]}?`,
  template: (i) =>
    `You are a careful editor. Answer with one word: positive, negative or mixed.\n\nProcess: {"id": ${i}, "note": "${articles[i % articles.length]}"}`,
  text: (i) => `Summarize in one paragraph.\n\n${i}: ${sentence.repeat(1 + ((i * 7) % 20))}`,
};
const models = ['large', 'echo'];

interface Estimate {
  readonly cost: { readonly expected: number | null };
}

const rows: string[] = [];
let worst = 0;
for (const model of models)
  for (const [kind, promptOf] of Object.entries(promptsByKind)) {
    const name = `simulator/${model}`;
    // Each kind has a stack of its own, which knows no answers yet.
    const stack = await startMeasuredStack({
      env: { LOG_LEVEL: 'warn' },
      files: {
        'promptmill.yaml': JSON.stringify({
          providers: { simulator: { models: { [model]: { prices: { input: 2.5, output: 10 } } } } },
        }),
      },
    });
    try {
      const spentOn = async (input: string): Promise<number> => {
        const { id } = await createBatch(stack.client, input);
        return extensionOf(await untilBatch(stack.client, id)).cost.spent ?? Number.NaN;
      };
      const input = inputOf(requests, (i) => promptOf(i + 1000), name);
      const prompts = Array.from({ length: requests }, (_, i) => promptOf(i + 1000));
      const estimates: (number | null)[] = [];
      let asked = 0;
      for (const count of knownAnswers) {
        const begun = asked;
        if (count > asked) await spentOn(inputOf(count - asked, (i) => promptOf(i + begun), name));
        asked = count;
        const { cost } = await stack.client.post<Estimate>('/batches/estimate', { body: { model: name, prompts } });
        estimates.push(cost.expected);
      }
      const bill = await spentOn(input);
      const errors = estimates.map((expected) => (expected === null ? undefined : expected / bill - 1));
      worst = Math.max(worst, Math.abs(errors.at(-1) ?? Number.NaN));
      const shown = errors.map((error) => (error === undefined ? 'unknown' : `${(100 * error).toFixed(1)} %`));
      rows.push(`| ${model} | ${kind} | ${bill.toFixed(4)} | ${shown.join(' | ')} |`);
    } finally {
      await stack.stop();
    }
  }

console.log(`| model | prompts | bill, USD | ${knownAnswers.map((count) => `${count} known`).join(' | ')} |`);
console.log(`| --- | --- | ---: | ${knownAnswers.map(() => '---:').join(' | ')} |`);
for (const row of rows) console.log(row);
if (!(worst <= allowedError)) {
  console.error(`with ${knownAnswers.at(-1)} known answers an estimate is off by ${(100 * worst).toFixed(1)} %`);
  process.exitCode = 1;
}
