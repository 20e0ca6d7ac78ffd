import { useEffect, useState } from 'preact/hooks';
import { html } from '../html.ts';
import { usePage } from '../shell/context.ts';

export interface ChooseTenantProps {
  /** What an empty choice is called. */
  readonly byDefault: string;
  /** A tenant that the empty choice stands for already. */
  readonly without?: string;
  /** Undefined: the empty choice. */
  readonly chosen: string | undefined;
  readonly onChoose: (tenant: string | undefined) => void;
}

/** Lets an admin choose a tenant. */
export const ChooseTenant = ({ byDefault, without, chosen, onChoose }: ChooseTenantProps) => {
  const { client } = usePage();
  const [tenants, setTenants] = useState<readonly string[]>([]);
  useEffect(() => {
    client.listTenants().then(setTenants, () => {});
  }, []);
  return html`<label class="tenant">
    Tenant
    <select
      value=${chosen ?? ''}
      onChange=${(event: Event & { currentTarget: HTMLSelectElement }) =>
        onChoose(event.currentTarget.value || undefined)}
    >
      <option value="">${byDefault}</option>
      ${tenants.filter((name) => name !== without).map((name) => html`<option>${name}</option>`)}
    </select>
  </label>`;
};
