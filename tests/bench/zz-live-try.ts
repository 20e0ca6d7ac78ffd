import OpenAI from 'openai';
const client = new OpenAI({
  baseURL: (process.env.URL ?? 'http://127.0.0.1:3111') + '/v1',
  apiKey: 'none',
  maxRetries: 0,
});
const t = performance.now();
const r = await client.chat.completions
  .create({ model: 'simulator/echo', messages: [{ role: 'user', content: 'Hello live' }] })
  .withResponse();
console.log(r.data.choices[0]?.message, Object.fromEntries(r.response.headers), performance.now() - t);
const s = await client.chat.completions.create({
  model: 'simulator/echo',
  messages: [{ role: 'user', content: 'one two three four' }],
  stream: true,
});
for await (const c of s) console.log(JSON.stringify(c));
try {
  await client.chat.completions.create({
    model: 'simulator/echo',
    messages: [{ role: 'user', content: '[[status:400]] x' }],
  });
} catch (e: any) {
  console.log(e.status, e.message, e.code);
}
console.log((await client.embeddings.create({ model: 'simulator/echo', input: 'hi' })).data.length);
const durations: number[] = [];
for (let i = 0; i < 200; i++) {
  const a = performance.now();
  await client.chat.completions.create({
    model: 'simulator/echo',
    messages: [{ role: 'user', content: 'Hello ' + i }],
  });
  durations.push(performance.now() - a);
}
durations.sort((a, b) => a - b);
console.log('p50', durations[100], 'p95', durations[190]);
