import { html } from '../html.ts';
import type { LiveAnswer } from './apply-delta.ts';

/** So much of the end of a text is shown. */
const shownLength = 500;

const endOf = (text: string): string => (text.length > shownLength ? `…${text.slice(-shownLength)}` : text);

/** Answers while they are written. */
export const LiveAnswers = ({ answers }: { readonly answers: readonly LiveAnswer[] }) => html`
  <section class="card" aria-labelledby="live-title">
    <h2 id="live-title">Being written</h2>
    <ul class="live">
      ${answers.map(
        ({ customId, text }) =>
          html`<li key=${customId}>
            <code class="muted">${customId}</code>
            <p>${endOf(text)}<span class="caret"></span></p>
          </li>`,
      )}
    </ul>
  </section>
`;
