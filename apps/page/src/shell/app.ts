import { html } from '../html.ts';
import { BatchesPage } from '../batches/batches-page.ts';
import type { ApiClient } from '../api/api-client.ts';
import { Context } from './context.ts';
import { LaterView } from './later-view.ts';
import { hrefOf, type Route, type Router } from './route.ts';
import type { SessionControl } from './session.ts';
import { SignIn } from './sign-in.ts';

export interface AppProps {
  readonly client: ApiClient;
  readonly session: SessionControl;
  readonly router: Router;
  readonly hasBoard: boolean;
  readonly storage: Storage;
}

/** How the views that are not seen first are loaded. */
const later = {
  batch: async () => (await import('../batch/batch-page.ts')).BatchPage,
  'new-batch': async () => (await import('../new-batch/new-batch-page.ts')).NewBatchPage,
  lanes: async () => (await import('../lanes/lanes-page.ts')).LanesPage,
  use: async () => (await import('../use/use-page.ts')).UsePage,
  webhooks: async () => (await import('../webhooks/webhooks-page.ts')).WebhooksPage,
};

const viewOf = (route: Route) => {
  if (route.name === 'batches') return html`<${BatchesPage} />`;
  const { name } = route;
  if (name === 'batch') return html`<${LaterView} key=${route.id} load=${later.batch} props=${{ id: route.id }} />`;
  return html`<${LaterView} key=${name} load=${later[name]} />`;
};

/** The whole page: who is not signed in is asked for a key; others see a bar at the top and a view below it. */
export const App = ({ client, session, router, hasBoard, storage }: AppProps) => {
  const state = session.state.value;
  const route = router.route.value;
  if (state.kind === 'checking') return html`<main aria-busy="true"></main>`;
  if (state.kind === 'signed out')
    return html`<${SignIn} client=${client} session=${session} problem=${state.problem} />`;
  const { caller } = state;
  const link = (name: 'batches' | 'lanes' | 'use' | 'webhooks', word: string) =>
    html`<a href=${hrefOf({ name })} aria-current=${route.name === name ? 'page' : undefined}>${word}</a>`;
  return html`<${Context.Provider} value=${{ client, session, router, caller, hasBoard, storage }}>
    <a
      class="skip"
      href="#main"
      onClick=${(event: Event) => {
        event.preventDefault();
        document.querySelector<HTMLElement>('main')?.focus();
      }}
      >Skip to content</a
    >
    <header class="top">
      <a class="brand" href=${hrefOf({ name: 'batches' })}>Promptmill</a>
      <nav aria-label="Main">
        ${link('batches', 'Batches')} ${link('lanes', 'Lanes')} ${link('use', 'Use')} ${link('webhooks', 'Webhooks')}
        ${hasBoard && html`<a href="/admin/queues">Bull Board</a>`}
        <a href="/docs">API</a>
      </nav>
      <p class="who">
        <span class="muted">${caller.tenant}${caller.admin && caller.tenant !== 'admin' ? ' · admin' : ''}</span>
        ${session.hasKey() && html`<button class="quiet" onClick=${session.signOut}>Sign out</button>`}
      </p>
    </header>
    <main id="main" tabindex="-1">${viewOf(route)}</main>
  </${Context.Provider}>`;
};
