import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { RequestLine } from '@promptmill/core';
import { addSamples, type Samples } from '@promptmill/provider';

/** A thread without work ends after this time, and gives back its 100 MB. */
const idleMs = 60_000;
/** What a hostile input can make the thread take. Beyond it the estimate fails, and the process goes on. */
const maxHeapMb = 512;

/** Measures requests in a thread of its own, which is started when it is needed, so that the event loop goes on. */
export const createMeasuring = () => {
  let thread: Worker | undefined;
  let idle: NodeJS.Timeout | undefined;
  let last: Promise<unknown> = Promise.resolve();

  const open = (): Worker => {
    if (thread) return thread;
    const started = new Worker(new URL('./measuring-thread.ts', import.meta.url), {
      resourceLimits: { maxOldGenerationSizeMb: maxHeapMb },
    });
    started.unref();
    // Who waits for the thread gets its error.
    started.on('error', () => {});
    started.once('exit', () => {
      if (thread === started) thread = undefined;
    });
    return (thread = started);
  };

  const close = async (): Promise<void> => {
    clearTimeout(idle);
    const ending = thread;
    thread = undefined;
    await ending?.terminate();
  };

  /** One array after another. Throws what ended the thread. */
  const measureNext = async (requests: readonly RequestLine[]): Promise<Samples> => {
    clearTimeout(idle);
    const worker = open();
    worker.postMessage(requests);
    const [samples] = (await once(worker, 'message')) as [Samples];
    idle = setTimeout(() => void close(), idleMs);
    idle.unref();
    return samples;
  };

  return {
    async measure(source: AsyncIterable<readonly RequestLine[]>): Promise<Samples> {
      let samples: Samples = new Map();
      for await (const requests of source) {
        const next = last.then(() => measureNext(requests));
        last = next.catch(() => {});
        samples = addSamples(samples, await next);
      }
      return samples;
    },
    close,
  };
};

export type Measuring = ReturnType<typeof createMeasuring>;
