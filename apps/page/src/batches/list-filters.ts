import { useEffect, useRef } from 'preact/hooks';
import { html } from '../html.ts';
import { Choices } from '../parts/choices.ts';
import { ChooseTenant } from '../parts/choose-tenant.ts';
import { usePage } from '../shell/context.ts';
import type { ListFilter } from './batch-list.ts';

const choices = [
  ['', 'All'],
  ['validating,in_progress,finalizing,cancelling', 'Running'],
  ['completed', 'Completed'],
  ['failed', 'Refused'],
  ['expired', 'Expired'],
  ['cancelled', 'Cancelled'],
] as const;

/** How long after the last key a search begins. */
const typingMs = 250;

export interface ListFiltersProps {
  readonly filter: ListFilter;
  readonly isAdmin: boolean;
  readonly onChange: (change: Partial<ListFilter>) => void;
}

/** Moves the cursor into a search field at the key `/`, unless someone is typing. */
export const useSearchKey = (input: { readonly current: HTMLInputElement | null }): void => {
  useEffect(() => {
    const look = (event: KeyboardEvent): void => {
      const isTyping = event.target instanceof HTMLElement && /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
      if (event.key !== '/' || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      input.current?.focus();
    };
    document.addEventListener('keydown', look);
    return () => document.removeEventListener('keydown', look);
  }, []);
};

/** Narrows the list: by words, by status, and for admins by tenant. */
export const ListFilters = ({ filter, isAdmin, onChange }: ListFiltersProps) => {
  const { caller } = usePage();
  const input = useRef<HTMLInputElement>(null);
  const typing = useRef<ReturnType<typeof setTimeout>>(undefined);
  useSearchKey(input);
  useEffect(() => () => clearTimeout(typing.current), []);

  const search = (): void => {
    clearTimeout(typing.current);
    typing.current = setTimeout(() => onChange({ search: input.current?.value.trim() ?? '' }), typingMs);
  };

  return html`<div class="filters" role="search">
    <input
      ref=${input}
      type="search"
      placeholder=${filter.tenant === undefined ? 'Search id, model, metadata' : 'Search id, model'}
      aria-label="Search batches"
      aria-keyshortcuts="/"
      maxlength="100"
      onInput=${search}
    />
    <${Choices}
      label="Status"
      choices=${choices}
      chosen=${filter.status}
      onChoose=${(status: string) => onChange({ status })}
    />
    ${
      isAdmin &&
      html`<${ChooseTenant}
        byDefault=${`${caller.tenant} (you)`}
        without=${caller.tenant}
        chosen=${filter.tenant}
        onChoose=${(tenant: string | undefined) => onChange({ tenant })}
      />`
    }
  </div>`;
};
