import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A way to Redis that can be cut, stopped up, and restored. */
export const startTcpProxy = async (targetUrl: string) => {
  const { hostname, port } = new URL(targetUrl);
  const sockets = new Set<Socket>();
  let state: 'open' | 'cut' | 'stuck' = 'open';

  const add = (socket: Socket, other: () => Socket): void => {
    sockets.add(socket);
    socket.on('data', (data) => {
      if (state === 'open') other().write(data);
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      sockets.delete(socket);
      other().destroy();
    });
  };
  const server = createServer((client) => {
    if (state === 'cut') {
      client.destroy();
      return;
    }
    const redis = connect(Number(port), hostname);
    add(client, () => redis);
    add(redis, () => client);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const destroyAll = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** Connections break, and new ones are refused. */
    cut(): void {
      state = 'cut';
      destroyAll();
    },
    /** Connections stay open, but nothing comes through. */
    stopUp(): void {
      state = 'stuck';
    },
    restore(): void {
      state = 'open';
      destroyAll();
    },
    async close(): Promise<void> {
      destroyAll();
      server.close();
      await once(server, 'close');
    },
  };
};
