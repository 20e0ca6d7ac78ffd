/**
 * The least that an HTTP request of its own costs for each call: a proxy to a provider that knows no tenants, limits or
 * queue, and keeps nothing. It prints its URL.
 *
 *   node tests/bench/proxy.ts <url of the provider> <concurrency>
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { Agent, request } from 'undici';

const [provider = '', concurrency] = process.argv.slice(2);
const dispatcher = new Agent({ connections: Number(concurrency) });
const headers = { 'content-type': 'application/json', authorization: 'Bearer none' };

const pass = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
  const asked = JSON.parse(await text(incoming)) as Readonly<Record<string, unknown>>;
  const body = JSON.stringify({ ...asked, model: 'echo' });
  const answer = await request(`${provider}${incoming.url ?? ''}`, { method: 'POST', dispatcher, headers, body });
  outgoing.writeHead(answer.statusCode, { 'content-type': 'application/json' });
  outgoing.end(await answer.body.text());
};

const server = createServer((incoming, outgoing) => void pass(incoming, outgoing).catch(() => outgoing.destroy()));
await once(server.listen(0, '127.0.0.1'), 'listening');
console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
