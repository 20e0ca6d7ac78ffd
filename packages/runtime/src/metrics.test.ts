import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { createMetrics } from './metrics.ts';

const read = (path: string): string => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');

interface Queries {
  readonly panels: readonly { readonly title: string; readonly targets?: readonly { readonly expr: string }[] }[];
  readonly groups: readonly { readonly rules: readonly { readonly alert: string; readonly expr: string }[] }[];
}
const { panels } = JSON.parse(read('deploy/grafana/dashboard.json')) as Pick<Queries, 'panels'>;
const { groups } = parse(read('deploy/grafana/alerts.yml')) as Pick<Queries, 'groups'>;
const queries = [
  ...panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ asker: title, expr }))),
  ...groups.flatMap(({ rules }) => rules.map(({ alert, expr }) => ({ asker: alert, expr }))),
];

interface Described {
  readonly name: string;
  readonly type: string;
  readonly labels: readonly string[];
}

/** All metrics of a role, Node's own among them. */
const described = async (): Promise<Described[]> => {
  const { registry, withSpending } = createMetrics('test');
  const own = registry.getMetricsAsArray() as unknown as { name: string; type: string; labelNames: string[] }[];
  const spending = [...(await withSpending.metrics()).matchAll(/^# TYPE (\S+) (\S+)$/gm)]
    .map(([, name = '', type = '']) => ({ name, type, labels: ['tenant', 'model', 'kind'] }))
    .filter(({ name }) => own.every((metric) => metric.name !== name));
  return [...own.map(({ name, type, labelNames }) => ({ name, type, labels: labelNames })), ...spending];
};

it('each metric is in the table of the documentation, with its type and labels, and no other is', async () => {
  const rows = [...read('docs/operations.md').matchAll(/^\| `(promptmill_\w+)` \| (\w+) \| ([^|]*)\|/gm)];
  const documented = rows.map(([, name, type, labels = '']) => ({
    name,
    type,
    labels: [...labels.matchAll(/`(\w+)`/g)].map(([, label]) => label),
  }));
  const metrics = (await described()).filter(({ name }) => name.startsWith('promptmill_'));
  const byName = (a: { name?: string | undefined }, b: { name?: string | undefined }) =>
    String(a.name).localeCompare(String(b.name));
  expect(documented.toSorted(byName)).toEqual(metrics.toSorted(byName));
});

it.each(queries)('$asker asks for metrics and labels that there are: $expr', async ({ expr }) => {
  const labelsOf = new Map<string, readonly string[]>([['up', []]]);
  for (const { name, type, labels } of await described()) {
    labelsOf.set(name, labels);
    if (type === 'histogram') labelsOf.set(`${name}_bucket`, [...labels, 'le']);
  }
  const asked = [...expr.matchAll(/\b((?:promptmill|nodejs|process)_\w+|up\b)(?:\{([^}]*)\})?/g)];
  expect(asked.length).toBeGreaterThan(0);
  for (const [, name = '', selector = ''] of asked) {
    const known = [...(labelsOf.get(name) ?? [`no metric ${name}`]), 'job', 'role', 'instance'];
    const labels = [...selector.matchAll(/(\w+)\s*(?:=~|!~|!=|=)\s*"/g)].map(([, label]) => label);
    expect(known).toEqual(expect.arrayContaining(labels));
    expect(known).not.toContain(`no metric ${name}`);
  }
});
