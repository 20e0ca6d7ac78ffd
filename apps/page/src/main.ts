import { render } from 'preact';
import { createApiClient } from './api/api-client.ts';
import { ApiError, messageOf } from './api/api-error.ts';
import { html } from './html.ts';
import { App } from './shell/app.ts';
import { createRouter } from './shell/route.ts';
import { createSession } from './shell/session.ts';

/** The one place where the page meets the browser: everything else is given what it needs. */
const { key, board } = document.documentElement.dataset;
const session = createSession({ wantsKey: key === 'wanted', storage: sessionStorage });
const client = createApiClient({
  fetch: (input, init) => fetch(input, init),
  keyOf: session.keyOf,
  onUnauthorized: () => session.refuse(),
});
const router = createRouter(window);
// The document shows an empty bar until now.
document.body.replaceChildren();
render(
  html`<${App}
    client=${client}
    session=${session}
    router=${router}
    hasBoard=${board === 'yes'}
    storage=${sessionStorage}
  />`,
  document.body,
);

const begin = (): void => {
  session
    .begin(() => client.caller())
    .catch((error: unknown) => {
      // A refused key has led to the sign-in. While the server is away, the page tries again.
      if (error instanceof ApiError && error.status === 401) return;
      document.title = `Promptmill: ${messageOf(error)}`;
      setTimeout(begin, 2000);
    });
};
begin();
