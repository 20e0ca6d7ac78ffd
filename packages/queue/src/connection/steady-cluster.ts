import type { EventEmitter } from 'node:events';
import { Cluster } from 'ioredis';
import { watchSilence } from './silence.ts';
import { writeTogether } from './write-together.ts';

/** What ioredis keeps to itself. */
interface Internals {
  readonly connectionPool: EventEmitter;
  manuallyClosing: boolean;
  setStatus(status: string): void;
  handleCloseEvent(): void;
}

/**
 * Makes a cluster connection survive what BullMQ does with its blocking ones during a failover: it disconnects and
 * connects again. As ioredis is, a connection may then be lost for good, or never tell that it has ended.
 */
export const keepClusterSteady = (cluster: Cluster): Cluster => {
  const internals = cluster as unknown as Internals;
  const { connectionPool } = internals;

  // Each node's connection that ends while all do would close the whole once more, even when that is being opened again.
  const onDrain = connectionPool.rawListeners('drain');
  connectionPool.removeAllListeners('drain');
  let hasNodes = false;
  connectionPool.on('+node', () => (hasNodes = true));
  connectionPool.on('drain', () => {
    if (hasNodes) for (const listener of onDrain) listener.call(connectionPool);
    hasNodes = false;
  });

  // An attempt to connect that fails is followed by others, also when the connection had been closed before; whoever
  // waits for it waits for the one that succeeds.
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

  // Between two attempts there is no node whose end would end the whole.
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
