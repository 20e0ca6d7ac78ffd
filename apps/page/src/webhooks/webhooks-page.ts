import { useEffect, useRef, useState } from 'preact/hooks';
import type { Webhook, WebhookDelivery } from '../api/answers.ts';
import { messageOf } from '../api/api-error.ts';
import { html } from '../html.ts';
import { useTimer } from '../parts/use-timer.ts';
import { usePage } from '../shell/context.ts';
import { DeliveryList } from './delivery-list.ts';

const refreshMs = 5000;

interface Told {
  readonly webhook: Webhook;
  readonly deliveries: readonly WebhookDelivery[];
}

/** The tenant's webhooks, each with what it was told lately and whether that came. */
export const WebhooksPage = () => {
  const { client } = usePage();
  const [told, setTold] = useState<readonly Told[] | undefined>(undefined);
  const [problem, setProblem] = useState<string | undefined>(undefined);
  const leaving = useRef(new AbortController());

  const load = async (): Promise<void> => {
    const { signal } = leaving.current;
    try {
      const webhooks = await client.listWebhooks(signal);
      const lists = await Promise.all(webhooks.map(({ id }) => client.listDeliveries(id, signal)));
      setTold(webhooks.map((webhook, i) => ({ webhook, deliveries: lists[i] ?? [] })));
      setProblem(undefined);
    } catch (error) {
      if (!signal.aborted) setProblem(messageOf(error));
    }
  };
  useEffect(() => {
    document.title = 'Webhooks · Promptmill';
    leaving.current = new AbortController();
    void load();
    return () => leaving.current.abort();
  }, []);
  useTimer(load, refreshMs);

  const resend = async ({ id: webhookId }: Webhook, { id }: WebhookDelivery): Promise<void> => {
    try {
      await client.resendDelivery(webhookId, id);
      await load();
    } catch (error) {
      setProblem(messageOf(error));
    }
  };

  return html`
    <div class="head">
      <h1>Webhooks</h1>
      <p class="muted" role="status">${told ? 'The latest 20 deliveries of each' : 'Loading …'}</p>
    </div>
    ${problem !== undefined && html`<p class="problem" role="alert">${problem}</p>`}
    ${
      told?.length === 0 &&
      html`<p class="empty">
        No webhooks. <code>POST /v1/webhooks</code> makes one that is told of your batches, as
        <a href="/docs">the API</a>
        says.
      </p>`
    }
    <div class="use">
      ${told?.map(
        ({ webhook, deliveries }) =>
          html`<section class="card" key=${webhook.id} aria-labelledby=${webhook.id}>
            <h2 id=${webhook.id}>${webhook.description ?? webhook.url}</h2>
            <p class="muted">${webhook.description && html`${webhook.url} · `}${webhook.events.join(', ')}</p>
            ${
              deliveries.length === 0
                ? html`<p class="muted">Told nothing yet.</p>`
                : html`<${DeliveryList}
                    labelledBy=${webhook.id}
                    deliveries=${deliveries}
                    onResend=${(delivery: WebhookDelivery) => resend(webhook, delivery)}
                  />`
            }
          </section>`,
      )}
    </div>
  `;
};
