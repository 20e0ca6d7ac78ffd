import type { EventEmitter } from 'node:events';
import { Cluster } from 'ioredis';
import { watchSilence } from './silence.ts';
import { writeTogether } from './write-together.ts';

/** Private parts of ioredis. */
interface Internals {
  readonly connectionPool: EventEmitter;
  manuallyClosing: boolean;
  setStatus(status: string): void;
  handleCloseEvent(): void;
}

/**
 * Makes a cluster connection survive a failover, during which BullMQ disconnects its blocking connections and connects
 * them again. Without this, ioredis may lose such a connection for good, or never emit that it has ended.
 */
export const keepClusterSteady = (cluster: Cluster): Cluster => {
  const internals = cluster as unknown as Internals;
  const { connectionPool } = internals;

  // While the nodes' connections end, each of them would close the cluster connection once more, even if that is being
  // opened again.
  const onDrain = connectionPool.rawListeners('drain');
  connectionPool.removeAllListeners('drain');
  let hasNodes = false;
  connectionPool.on('+node', () => (hasNodes = true));
  connectionPool.on('drain', () => {
    if (hasNodes) for (const listener of onDrain) listener.call(connectionPool);
    hasNodes = false;
  });

  // ioredis repeats a failed attempt to connect, also after the connection had been closed. The caller waits until an
  // attempt succeeds.
  let opening: Promise<void> | undefined;
  const untilOpen = async (): Promise<void> => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onEnd = (): void => reject(new Error('Connection is closed.'));
    cluster.once('ready', resolve).once('end', onEnd);
    try {
      await promise;
    } finally {
      opening = undefined;
      cluster.off('ready', resolve).off('end', onEnd);
    }
  };
  cluster.connect = () => {
    internals.manuallyClosing = false;
    const attempt = Cluster.prototype.connect.call(cluster);
    if (cluster.status === 'ready') return attempt;
    attempt.catch(() => undefined);
    return (opening ??= untilOpen());
  };

  // Between two attempts there is no node connection whose end would end the cluster connection.
  cluster.disconnect = (reconnect = false) => {
    const { status } = cluster;
    Cluster.prototype.disconnect.call(cluster, reconnect);
    if (reconnect || status === 'wait' || status === 'end' || hasNodes) return;
    internals.setStatus('close');
    internals.handleCloseEvent();
  };

  cluster.on('+node', watchSilence);
  cluster.on('+node', writeTogether);
  cluster.duplicate = (...options) => keepClusterSteady(Cluster.prototype.duplicate.apply(cluster, options));
  return cluster;
};
