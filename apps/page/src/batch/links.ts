import { useEffect, useState } from 'preact/hooks';
import type { BatchObject } from '@promptmill/core';
import { html } from '../html.ts';
import { shortId } from '../parts/format.ts';
import { usePage } from '../shell/context.ts';
import { hrefOf } from '../shell/route.ts';
import { laneOf } from './lane-of.ts';

const boardPath = '/admin/queues/queue';

/** Where else a batch can be seen: its retries, and its job and lane on Bull Board. */
export const Links = ({ batch }: { readonly batch: BatchObject }) => {
  const { client, hasBoard } = usePage();
  const { retry_of: origin, retried_by: retries, waiting_for: holds } = batch.promptmill;
  const [lanes, setLanes] = useState<readonly string[]>([]);
  useEffect(() => {
    if (hasBoard)
      client.listLanes().then(
        (found) => setLanes(found.map(({ id }) => id)),
        () => {},
      );
  }, []);
  const lane = batch.model === null ? undefined : laneOf(batch.model, lanes);
  const shownLanes = new Set(
    [...(lane === undefined ? [] : [lane]), ...holds.map((held) => held.lane)].filter((name) => lanes.includes(name)),
  );
  const toBatch = (id: string) => html`<a href=${hrefOf({ name: 'batch', id })}><code>${shortId(id)}</code></a>`;
  if (!hasBoard && origin === null && retries.length === 0) return '';
  return html`<section class="card" aria-labelledby="links-title">
    <h2 id="links-title">See also</h2>
    <ul class="links">
      ${origin !== null && html`<li>Runs requests again of ${toBatch(origin)}</li>`}
      ${retries.map((id) => html`<li>Retried by ${toBatch(id)}</li>`)}
      ${hasBoard && html`<li><a href=${`${boardPath}/batches/${batch.id}`}>Job on Bull Board</a></li>`}
      ${[...shownLanes].map((name) => html`<li><a href=${`${boardPath}/${name}`}>Lane ${name} on Bull Board</a></li>`)}
    </ul>
  </section>`;
};
