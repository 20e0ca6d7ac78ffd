import { useRef, useState } from 'preact/hooks';
import type { ApiClient } from '../api/api-client.ts';
import { ApiError, messageOf } from '../api/api-error.ts';
import { html } from '../html.ts';
import type { SessionControl } from './session.ts';

export interface SignInProps {
  readonly client: ApiClient;
  readonly session: SessionControl;
  readonly problem: string | undefined;
}

/** Asks for an API key. */
export const SignIn = ({ client, session, problem }: SignInProps) => {
  const input = useRef<HTMLInputElement>(null);
  const [shown, setShown] = useState(problem);
  const [isBusy, setBusy] = useState(false);

  const signIn = async (): Promise<void> => {
    const key = input.current?.value.trim() ?? '';
    if (key === '') return setShown('Enter your API key.');
    setBusy(true);
    try {
      session.signIn(key, await client.caller(key));
    } catch (error) {
      setBusy(false);
      setShown(error instanceof ApiError && error.status === 401 ? 'This key is not known here.' : messageOf(error));
      input.current?.select();
    }
  };

  return html`<main class="sign-in">
    <form
      class="card"
      onSubmit=${(event: Event) => {
        event.preventDefault();
        void signIn();
      }}
    >
      <h1>Promptmill</h1>
      <label for="key">API key</label>
      <input
        id="key"
        ref=${input}
        type="password"
        autocomplete="off"
        spellcheck="false"
        autofocus
        aria-describedby="key-note key-problem"
        aria-invalid=${shown === undefined ? undefined : 'true'}
      />
      <p id="key-problem" class="problem" role="alert">${shown}</p>
      <button class="primary" disabled=${isBusy}>Sign in</button>
      <p id="key-note" class="muted">The key stays in this tab, and is forgotten when you close it.</p>
    </form>
  </main>`;
};
