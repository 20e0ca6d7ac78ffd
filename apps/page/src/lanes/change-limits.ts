import { formatCount } from '@promptmill/core/display';
import { useRef } from 'preact/hooks';
import type { Lane } from '../api/answers.ts';
import { html } from '../html.ts';
import { FormDialog } from '../parts/form-dialog.ts';
import { usePage } from '../shell/context.ts';
import { parseLimit, rateOf } from './lane-words.ts';

export interface ChangeLimitsProps {
  readonly lane: Lane;
  /** Shows the lane as it is after the change. */
  readonly onLane: (lane: Lane) => void;
  readonly onClose: () => void;
}

/** Lets an admin change the limits of a lane while it runs. */
export const ChangeLimits = ({ lane, onLane, onClose }: ChangeLimitsProps) => {
  const { client } = usePage();
  const form = useRef<HTMLDivElement>(null);
  const rate = rateOf(lane);
  const fields = [
    { name: 'concurrency', label: 'Calls in flight', isWhole: true, byDefault: 'as its answers allow' },
    {
      name: rate,
      label: rate === 'requests_per_second' ? 'Requests a second' : 'Requests a minute',
      isWhole: rate === 'requests_per_minute',
      byDefault: 'not limited',
    },
    { name: 'tokens_per_minute', label: 'Tokens a minute', isWhole: true, byDefault: 'not limited' },
  ] as const;

  const onAct = async (): Promise<string | undefined> => {
    const limits: Partial<Record<keyof Lane['limits'], number | null>> = {};
    for (const { name, label, isWhole } of fields) {
      const text = form.current?.querySelector<HTMLInputElement>(`[name=${name}]`)?.value ?? '';
      const limit = parseLimit(text, isWhole);
      if (limit === undefined) return `${label}: enter a${isWhole ? ' whole' : ''} number above 0, or nothing.`;
      limits[name] = limit;
    }
    onLane(await client.changeLane(lane.id, limits));
    return undefined;
  };

  const field = ({ name, label, byDefault }: (typeof fields)[number]) => {
    const { [name]: now } = lane.limits;
    const { [name]: configured } = lane.configured_limits;
    return html`<label
      >${label}
      <input
        name=${name}
        inputmode="decimal"
        autocomplete="off"
        defaultValue=${now === configured ? '' : now}
        placeholder=${`As configured: ${configured === null ? byDefault : formatCount(configured)}`}
      />
    </label>`;
  };
  return html`<${FormDialog}
    title=${`Change the limits of ${lane.id}?`}
    text="All workers keep to them from their next call on. Calls in flight end. The limits outlast restarts, and stay until they are changed again. An empty field is as configured."
    act="Set the limits"
    onAct=${onAct}
    onClose=${onClose}
  >
    <div class="fields" ref=${form}>${fields.map(field)}</div>
  </${FormDialog}>`;
};
