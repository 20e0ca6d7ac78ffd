import { LLMock } from '@copilotkit/aimock';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { createBatch, untilBatch } from '../support/batches.ts';
import { type Stack, startStack } from '../support/stack.ts';

const count = 100;

interface Line {
  readonly custom_id: string;
  readonly response: {
    readonly body: {
      readonly id?: string;
      readonly created?: number;
      readonly choices: readonly { readonly message?: { readonly content?: string; readonly refusal?: null } }[];
    };
  };
}

/** Others have written this provider, from their own reading of OpenAI's API. */
describe('@copilotkit/aimock as a provider', () => {
  const mock = new LLMock({ port: 0, logLevel: 'silent', chunkSize: 7 });
  let stack: Stack;

  beforeAll(async () => {
    mock.onMessage(/^Question \d+$/, ({ messages }) => ({
      content: `The answer to: ${messages.map(({ content }) => (typeof content === 'string' ? content : '')).join('')}`,
    }));
    mock.onEmbedding(/.*/, { embedding: [0.25, 0.5] });
    await mock.start();
    stack = await startStack({
      redisUrl: inject('redisUrl'),
      workers: 2,
      files: {
        'promptmill.yaml': JSON.stringify({
          retry: { attempts: 10, baseDelayMs: 10, maxDelayMs: 50 },
          providers: { aimock: { baseUrl: `${mock.url}/v1`, concurrency: 10 } },
        }),
      },
    });
  });
  afterAll(async () => {
    await stack.stop();
    await mock.stop();
  });

  /** Runs a batch of questions to its end, and returns its output lines. */
  const ask = async (more: object): Promise<readonly Line[]> => {
    const line = (i: number) => ({
      custom_id: `question-${i}`,
      method: 'POST',
      url: '/v1/chat/completions',
      body: { model: 'aimock/gpt-4o', messages: [{ role: 'user', content: `Question ${i}` }], ...more },
    });
    const input = Array.from({ length: count }, (_, i) => `${JSON.stringify(line(i))}\n`).join('');
    const { id } = await createBatch(stack.client, input);
    const batch = await untilBatch(stack.client, id);
    expect(batch).toMatchObject({ status: 'completed', request_counts: { total: count, completed: count, failed: 0 } });
    const output = await (await stack.client.files.content(batch.output_file_id ?? '')).text();
    return output
      .trimEnd()
      .split('\n')
      .map((text) => JSON.parse(text) as Line);
  };

  const expectAnswers = (lines: readonly Line[]): void => {
    expect(lines.map(({ custom_id: id, response }) => [id, response.body.choices[0]?.message?.content])).toEqual(
      Array.from({ length: count }, (_, i) => [`question-${i}`, `The answer to: Question ${i}`]),
    );
  };

  it.each([
    ['plain', {}],
    ['streamed', { stream: true }],
  ])('%s: gives every answer, with one call each', async (_, more) => {
    mock.clearRequests();
    expectAnswers(await ask(more));
    expect(mock.getRequests()).toHaveLength(count);
  });

  it('streamed: gives the same line as a plain call', async () => {
    const [plain] = await ask({});
    const [streamed] = await ask({ stream: true });
    const { id: _id, created: _created, choices, ...rest } = plain?.response.body ?? { choices: [] };
    expect(streamed?.response.body).toMatchObject(rest);
    // A plain answer of the mock has a `refusal`, a stream has none.
    const { message, ...choice } = choices[0] ?? {};
    const { refusal: _refusal, ...said } = message ?? {};
    expect(streamed?.response.body.choices).toEqual([{ ...choice, message: said }]);
  });

  it.each([
    ['plain', {}],
    ['streamed', { stream: true }],
  ])('%s: gives every answer, whatever faults its chaos mode makes', async (_, more) => {
    mock.setChaos({ dropRate: 0.06, malformedRate: 0.06, disconnectRate: 0.06, rateLimitRate: 0.01 });
    mock.clearRequests();
    expectAnswers(await ask(more));
    const faults = mock.getRequests().filter(({ response }) => response.chaosAction !== undefined);
    expect(faults.length).toBeGreaterThan(3);
    mock.clearChaos();
  });
});
