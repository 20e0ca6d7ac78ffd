/** What one check of the set-up found. */
export interface Check {
  /** What was checked: `redis`, `data folder`, or a provider's name. */
  readonly name: string;
  /** `failed`: Promptmill cannot work like this. */
  readonly status: 'ok' | 'warning' | 'failed';
  readonly message: string;
  /** What to do about it. */
  readonly hint?: string;
}

/** Makes checks that share a name. */
export const checksOf = (name: string) => ({
  ok: (message: string): Check => ({ name, status: 'ok', message }),
  warning: (message: string, hint: string): Check => ({ name, status: 'warning', message, hint }),
  failed: (message: string, hint: string): Check => ({ name, status: 'failed', message, hint }),
});

const marks = { ok: '✓', warning: '!', failed: '✗' } as const;

/** A check as text: a line for what was found, and one for the hint. */
export const checkText = ({ name, status, message, hint }: Check): string =>
  `${marks[status]} ${name}: ${message}${hint === undefined ? '' : `\n    ${hint}`}`;
