import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/**
 * - `pass`: bytes go through.
 * - `drop`: bytes get lost, sockets stay open, new ones are accepted, and neither side learns of the other's end. A
 *   connection that has lost a byte stays dead for good; other connections go on afterwards.
 * - `refuse`: open connections break, and so does each new one.
 * - `delayMs`: bytes arrive later, in order.
 */
export type ProxyMode = 'pass' | 'drop' | 'refuse' | { readonly delayMs: number };

/** Starts a proxy to a server that can fail in the ways of a network. */
export const startTcpProxy = async (targetUrl: string) => {
  const target = new URL(targetUrl);
  const sockets = new Set<Socket>();
  const closing = new AbortController();
  let mode: ProxyMode = 'pass';

  const hold = (socket: Socket): void => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
  };

  const join = (client: Socket, server: Socket): void => {
    let dead = false;
    const forward = (from: Socket, to: Socket): void => {
      let sent: Promise<unknown> = Promise.resolve();
      from.on('data', (bytes) => {
        if (mode === 'drop') dead = true;
        if (dead) return;
        const wait = typeof mode === 'object' ? delay(mode.delayMs, undefined, { signal: closing.signal }) : undefined;
        sent = Promise.all([sent, wait]).then(
          () => !dead && to.write(bytes),
          () => {},
        );
      });
      from.once('close', () => {
        if (mode === 'drop') dead = true;
        if (!dead) to.destroy();
      });
    };
    forward(client, server);
    forward(server, client);
  };

  const listener = createServer((client) => {
    hold(client);
    if (mode === 'refuse') client.destroy();
    else if (mode === 'drop') client.resume();
    else {
      const server = connect({ host: target.hostname, port: Number(target.port) });
      hold(server);
      join(client, server);
    }
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  const breakAll = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `${target.protocol}//127.0.0.1:${port}`,
    port,
    set(next: ProxyMode): void {
      mode = next;
      if (next === 'refuse') breakAll();
    },
    /** Connections break; new ones are as the mode says. */
    breakAll,
    async close(): Promise<void> {
      closing.abort();
      breakAll();
      listener.close();
      await once(listener, 'close');
    },
  };
};

export type TcpProxy = Awaited<ReturnType<typeof startTcpProxy>>;
