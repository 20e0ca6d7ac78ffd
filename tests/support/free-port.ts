import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';

/** Below the ports that systems give to outgoing connections: one of those may be taken a moment later. */
const first = 15_000;
const count = 15_000;

const canListen = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });

/** Holds the UDP port of the same number until this process ends; nobody else can meanwhile. */
const reserve = async (port: number): Promise<boolean> => {
  const socket = createSocket('udp4').unref();
  try {
    socket.bind(port, '127.0.0.1');
    await once(socket, 'listening');
    return true;
  } catch {
    socket.close();
    return false;
  }
};

/**
 * A free TCP port of 127.0.0.1, which no other call in any process gets until this one ends: what a test starts there,
 * and starts again, never meets another test's server.
 */
export const freePort = async (): Promise<number> => {
  for (;;) {
    const port = first + Math.floor(Math.random() * count);
    if ((await reserve(port)) && (await canListen(port))) return port;
  }
};
