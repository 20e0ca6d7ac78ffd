import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';

/** These ports are below those for outgoing connections, which the system may take at any moment. */
const first = 15_000;
const count = 15_000;

const canListen = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });

/** Reserves a port until this process ends: only one process can hold the UDP port of the same number. */
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
 * A free TCP port of 127.0.0.1. No other call in any process gets the same port until this process ends, so a test can
 * start its server there again and again.
 */
export const freePort = async (): Promise<number> => {
  for (;;) {
    const port = first + Math.floor(Math.random() * count);
    if ((await reserve(port)) && (await canListen(port))) return port;
  }
};
