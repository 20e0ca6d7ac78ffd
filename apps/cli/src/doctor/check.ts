/** What one look at the set-up found. */
export interface Check {
  /** What was looked at: `redis`, `data folder`, or a provider's name. */
  readonly name: string;
  /** `failed`: Promptmill cannot do its work so. */
  readonly status: 'ok' | 'warning' | 'failed';
  readonly message: string;
  /** What to do about it. */
  readonly hint?: string;
}

/** Makes the checks of one thing. */
export const checksOf = (name: string) => ({
  ok: (message: string): Check => ({ name, status: 'ok', message }),
  warning: (message: string, hint: string): Check => ({ name, status: 'warning', message, hint }),
  failed: (message: string, hint: string): Check => ({ name, status: 'failed', message, hint }),
});

const marks = { ok: '✓', warning: '!', failed: '✗' } as const;

/** A line, and one more for what to do. */
export const checkText = ({ name, status, message, hint }: Check): string =>
  `${marks[status]} ${name}: ${message}${hint === undefined ? '' : `\n    ${hint}`}`;
