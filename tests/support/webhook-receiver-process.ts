/** A receiver of webhooks as a process of its own: `<port> [key certificate]`. It writes a line of JSON for each request. */
import { readFileSync } from 'node:fs';
import { startReceiver } from './webhook-receiver.ts';

const [port, key, cert] = process.argv.slice(2);
const tls = key && cert ? { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') } : undefined;
const receiver = await startReceiver({ port: Number(port), ...(tls ? { tls } : {}) });
receiver.answerWith((response, received) => {
  // Killed right after the answer, it must not lose the line.
  process.stdout.write(`${JSON.stringify(received)}\n`, () => void response.writeHead(200).end());
});
process.stdout.write('ready\n');
