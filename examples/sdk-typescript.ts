// The official openai SDK against Promptmill: upload, create, poll, download.
//
//   bin/promptmill serve --simulator                        # in one terminal
//   bin/with-tools -- node examples/sdk-typescript.ts       # in another
//
// OPENAI_BASE_URL names another server, OPENAI_API_KEY your key for it, and an argument another file in OpenAI's format.
import { createReadStream } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import OpenAI from 'openai';

const client = new OpenAI({
  baseURL: process.env['OPENAI_BASE_URL'] ?? 'http://127.0.0.1:3000/v1',
  apiKey: process.env['OPENAI_API_KEY'] ?? 'not needed on this machine',
});

const path = process.argv[2] ?? new URL('batch.jsonl', import.meta.url);
const file = await client.files.create({ file: createReadStream(path), purpose: 'batch' });

// The SDK sends a request again when its answer is lost. The key keeps that from making a second batch.
let batch = await client.batches.create(
  { input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' },
  { headers: { 'Idempotency-Key': file.id } },
);

const ended = new Set(['completed', 'failed', 'expired', 'cancelled']);
while (!ended.has(batch.status)) {
  await delay(1000);
  batch = await client.batches.retrieve(batch.id);
  const { completed = 0, failed = 0, total = 0 } = batch.request_counts ?? {};
  console.error(`${batch.id} ${batch.status}: ${completed + failed}/${total}`);
}
for (const { line, message } of batch.errors?.data ?? []) console.error(`line ${line ?? '?'}: ${message}`);

// Yields a file line by line, since it may be larger than memory.
async function* lines(fileId: string): AsyncGenerator<string> {
  const content = await client.files.content(fileId);
  let rest = '';
  for await (const text of content.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    const pieces = (rest + text).split('\n');
    rest = pieces.pop() ?? '';
    yield* pieces;
  }
}

interface Result {
  custom_id: string;
  response: { status_code: number; body: OpenAI.ChatCompletion } | null;
  error: { code: string; message: string } | null;
}

if (batch.output_file_id) {
  for await (const line of lines(batch.output_file_id)) {
    const { custom_id: customId, response } = JSON.parse(line) as Result;
    console.log(`${customId}: ${response?.body.choices[0]?.message.content}`);
  }
}
if (batch.error_file_id) {
  for await (const line of lines(batch.error_file_id)) console.error(`failed: ${line}`);
}
process.exitCode = batch.status === 'completed' && !batch.error_file_id ? 0 : 1;
