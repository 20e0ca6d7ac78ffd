import type { Random } from '@promptmill/core';
import type { Behaviour } from './behaviour.ts';
import type { CallCounter } from './call-counter.ts';
import { isFaultName } from './faults.ts';
import { sampleLatencyMs } from './latency.ts';
import { markerForCall, type Fault, type Marker } from './markers.ts';

/** What will happen to a call. */
interface CallPlan {
  readonly latencyMs: number;
  readonly fault: Fault | undefined;
}

interface PlannedCall {
  readonly prompt: string;
  /** The markers in the prompt. */
  readonly markers: readonly Marker[];
  readonly idempotencyKey: string | null;
}

export type CallPlanner = (call: PlannedCall, behaviour: Behaviour) => CallPlan;

/**
 * Decides what happens to a call: by its prompt's markers when it has any, else by the rates. Markers with `times`
 * count the calls with the same `Idempotency-Key` or, without one, with the same prompt.
 */
export function createCallPlanner({ counter, random }: { counter: CallCounter; random: Random }): CallPlanner {
  return ({ prompt, markers, idempotencyKey }, behaviour) => {
    if (markers.length === 0) {
      return { latencyMs: sampleLatencyMs(behaviour.latency, random), fault: drawFault(behaviour, random) };
    }
    const nth = counter.count(idempotencyKey === null ? `prompt:${prompt}` : `key:${idempotencyKey}`);
    const marker = markerForCall(markers, nth);
    return {
      latencyMs: marker?.latencyMs ?? sampleLatencyMs(behaviour.latency, random),
      fault: marker?.fault,
    };
  };
}

function drawFault({ errorRate, errorStatus, errorHeaders, faults }: Behaviour, random: Random): Fault | undefined {
  let drawn = random() - errorRate;
  if (drawn < 0) return { name: 'status', status: errorStatus, headers: errorHeaders };
  for (const [name, share = 0] of Object.entries(faults)) {
    drawn -= share;
    if (drawn >= 0) continue;
    return isFaultName(name) ? { name } : { name: 'status', status: Number(name), headers: {} };
  }
  return undefined;
}
