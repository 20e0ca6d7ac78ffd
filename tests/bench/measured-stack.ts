import { readFile } from 'node:fs/promises';
import { Redis } from 'ioredis';
import { startDurableRedis } from '../support/local-redis.ts';
import { startStack, type StackOptions } from '../support/stack.ts';
import { cpuSecondsOf } from './processes.ts';

/** The most memory that a process has held so far, in MiB. Linux only. */
export const peakMiB = async (pid: number | undefined): Promise<number> => {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Math.round(Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? Number.NaN) / 1024);
};

/** Starts a stack of real processes over a durable Redis of its own. It says what each process costs. */
export const startMeasuredStack = async (options: Omit<StackOptions, 'redisUrl'>) => {
  const redis = await startDurableRedis();
  const stack = await startStack({ ...options, redisUrl: redis.url }).catch(async (error: unknown) => {
    await redis.stop();
    throw error;
  });
  const admin = new Redis(redis.url, { maxRetriesPerRequest: null });
  // Some benchmarks kill Redis.
  admin.on('error', () => {});
  return {
    ...stack,
    redis,
    /** The memory that Redis holds now, in MiB. */
    async redisMiB(): Promise<number> {
      const bytes = Number(/used_memory:(\d+)/.exec(await admin.info('memory'))?.[1] ?? Number.NaN);
      return Math.round(bytes / 1024 / 1024);
    },
    /** What the command INFO says. */
    redisInfo: () => admin.info(),
    async costs(): Promise<Record<string, { peakMiB: number; cpuSeconds: number }>> {
      const costs: Record<string, { peakMiB: number; cpuSeconds: number }> = {};
      for (const [name, list] of Object.entries({
        api: [stack.api],
        worker: stack.workers,
        collector: stack.collectors,
        simulator: [stack.simulator],
      }))
        for (const [i, running] of list.entries())
          costs[`${name} ${i + 1}`] = {
            peakMiB: await peakMiB(running.child.pid),
            cpuSeconds: await cpuSecondsOf(running.child.pid),
          };
      const info = await admin.info();
      const number = (field: string): number => Number(new RegExp(`${field}:([\\d.]+)`).exec(info)?.[1] ?? Number.NaN);
      costs['redis'] = {
        peakMiB: Math.round(number('used_memory_peak') / 1024 / 1024),
        cpuSeconds: number('used_cpu_sys') + number('used_cpu_user'),
      };
      return costs;
    },
    async stop() {
      await stack.stop();
      admin.disconnect();
      await redis.stop();
    },
  };
};
