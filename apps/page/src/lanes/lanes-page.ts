import { plural } from '@promptmill/core/display';
import { useEffect, useState } from 'preact/hooks';
import type { Lane } from '../api/answers.ts';
import { messageOf } from '../api/api-error.ts';
import { html } from '../html.ts';
import { useTimer } from '../parts/use-timer.ts';
import { usePage } from '../shell/context.ts';
import { ChangeLimits } from './change-limits.ts';
import { LaneCard } from './lane-card.ts';
import { isInUse } from './lane-words.ts';

const refreshMs = 2000;

/** Every lane that can be called or has requests, kept up to date. An admin may change limits. */
export const LanesPage = () => {
  const { client, caller } = usePage();
  const [lanes, setLanes] = useState<readonly Lane[] | undefined>(undefined);
  const [problem, setProblem] = useState<string | undefined>(undefined);
  const [showsAll, setShowsAll] = useState(false);
  const [changing, setChanging] = useState<Lane | undefined>(undefined);

  const load = async (): Promise<void> => {
    try {
      setLanes(await client.listLanes());
      setProblem(undefined);
    } catch (error) {
      setProblem(messageOf(error));
    }
  };
  useEffect(() => {
    document.title = 'Lanes · Promptmill';
    void load();
  }, []);
  useTimer(load, refreshMs);

  const nowSeconds = Date.now() / 1000;
  const inUse = lanes?.filter(isInUse) ?? [];
  const hidden = (lanes?.length ?? 0) - inUse.length;
  const shown = showsAll ? (lanes ?? []) : inUse;
  const replace = (changed: Lane): void =>
    setLanes((before) => before?.map((each) => (each.id === changed.id ? changed : each)));
  return html`
    <div class="head">
      <h1>Lanes</h1>
      <p class="muted" role="status">${lanes ? `${plural(inUse.length, 'lane')} in use` : 'Loading …'}</p>
    </div>
    ${problem !== undefined && html`<p class="problem" role="alert">${problem}</p>`}
    <ul class="lanes">
      ${shown.map(
        (lane) =>
          html`<${LaneCard}
            key=${lane.id}
            lane=${lane}
            nowSeconds=${nowSeconds}
            onChange=${caller.admin ? () => setChanging(lane) : undefined}
          />`,
      )}
    </ul>
    ${
      hidden > 0 &&
      html`<p class="more">
        <button class="quiet" aria-pressed=${showsAll} onClick=${() => setShowsAll(!showsAll)}>
          ${showsAll ? 'Hide' : 'Show'} ${plural(hidden, 'lane')} without a key
        </button>
      </p>`
    }
    ${changing && html`<${ChangeLimits} lane=${changing} onLane=${replace} onClose=${() => setChanging(undefined)} />`}
  `;
};
