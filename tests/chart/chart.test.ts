import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ScaledObject } from '@kubernetes-models/keda/keda.sh/v1alpha1';
import { PodMonitor } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1';
import { assertSafeToExpose, loadConfig } from '@promptmill/runtime';
import { Deployment, StatefulSet } from 'kubernetes-models/apps/v1';
import { Ingress, NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1';
import { ConfigMap, type IPodSpec, Service } from 'kubernetes-models/v1';
import { describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';

const root = fileURLToPath(new URL('../../', import.meta.url));
const chart = join(root, 'deploy/helm');
const isHere = (command: string): boolean => spawnSync(command, ['--help'], { stdio: 'ignore' }).status === 0;

const kinds = {
  ConfigMap,
  Deployment,
  Ingress,
  NetworkPolicy,
  PodDisruptionBudget,
  PodMonitor,
  ScaledObject,
  Service,
  StatefulSet,
};
type Kind = keyof typeof kinds;

interface KubernetesObject {
  readonly kind: Kind;
  readonly metadata: { readonly name: string };
}

const withBucket = { store: { s3: 's3://bucket/prefix' } };
const withVolume = { store: { claim: 'files' }, redis: { enabled: false } };
const withAll = {
  ...withBucket,
  config: { providers: { xai: { concurrency: 40 } } },
  keda: { enabled: true, prometheus: 'http://prometheus:9090' },
  podMonitor: { enabled: true },
  secrets: { metrics: 'promptmill-metrics' },
  ingress: { enabled: true, className: 'nginx' },
  worker: { env: { PROMPTMILL_GRACE_MS: 20_000 } },
};

/** Runs helm on the chart with some values, and resolves with what it prints. */
const helm = (command: 'lint' | 'template', values: object): string => {
  const directory = mkdtempSync(join(tmpdir(), 'promptmill-test-chart-'));
  const file = join(directory, 'values.json');
  writeFileSync(file, JSON.stringify(values));
  const what = command === 'lint' ? ['lint', '--strict', chart] : ['template', 'mill', chart, '--namespace', 'llm'];
  try {
    return execFileSync('helm', [...what, '--values', file], { encoding: 'utf8', stdio: 'pipe' });
  } finally {
    rmSync(directory, { recursive: true });
  }
};

const render = (values: object): KubernetesObject[] =>
  parseAllDocuments(helm('template', values)).map((document) => document.toJS() as KubernetesObject);

const get = <T extends Kind>(
  objects: readonly KubernetesObject[],
  kind: T,
  name: string,
): InstanceType<(typeof kinds)[T]> => {
  const found = objects.find((object) => object.kind === kind && object.metadata.name === name);
  if (!found) throw new Error(`there is no ${kind} ${name}`);
  return found as unknown as InstanceType<(typeof kinds)[T]>;
};

const podOf = (objects: readonly KubernetesObject[], role: string): IPodSpec => {
  const { spec } =
    role === 'redis' ? get(objects, 'StatefulSet', 'mill-redis') : get(objects, 'Deployment', `mill-${role}`);
  if (!spec?.template.spec) throw new Error(`${role} has no pod`);
  return spec.template.spec;
};

const containerOf = (objects: readonly KubernetesObject[], role: string) => {
  const [container] = podOf(objects, role).containers;
  if (!container) throw new Error(`${role} has no container`);
  return container;
};

const roles = ['api', 'worker', 'collector'] as const;

/** What a process would find in its environment: what the image says, its secrets, and the chart's variables. */
const environmentOf = (objects: readonly KubernetesObject[], role: string): Record<string, string> => {
  const secrets: Record<string, Record<string, string>> = {
    'promptmill-redis': { REDIS_URL: 'redis://promptmill:secret@mill-redis:6379' },
    'promptmill-api': { PROMPTMILL_API_KEYS: 'ada:pm-secret', BOARD_USER: 'ada', BOARD_PASSWORD: 'secret' },
    'promptmill-worker': { XAI_API_KEY: 'secret' },
    'promptmill-store': { AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'secret' },
    'promptmill-metrics': { PROMPTMILL_METRICS_TOKEN: 'secret-token' },
  };
  const { env = [], envFrom = [] } = containerOf(objects, role);
  return Object.assign(
    { HOST: '0.0.0.0', PROMPTMILL_DATA_DIR: '/data' },
    ...envFrom.map(({ secretRef }) => secrets[secretRef?.name ?? '']),
    Object.fromEntries(env.map(({ name, value }) => [name, value ?? ''])),
  ) as Record<string, string>;
};

const configOf = (objects: readonly KubernetesObject[], role: string) => {
  const content = get(objects, 'ConfigMap', 'mill-config').data?.['promptmill.yaml'] ?? '';
  return loadConfig(environmentOf(objects, role), { readFile: () => content });
};

describe.runIf(isHere('helm'))('the chart', () => {
  describe.each([
    ['a bucket', withBucket],
    ['a volume and a Redis of its own', withVolume],
    ['everything', withAll],
  ])('with %s', (_, values) => {
    it('passes helm lint, and gives objects that Kubernetes, KEDA and the Prometheus operator know', () => {
      helm('lint', values);
      for (const object of render(values)) new kinds[object.kind](object as never).validate();
    });

    it('gives each role a configuration that it starts with', () => {
      const objects = render(values);
      for (const role of roles) configOf(objects, role);
      assertSafeToExpose(configOf(objects, 'api'));
    });
  });

  it('gives nobody more than docker-compose does: no root, no capability, nothing to write to, bounded memory', () => {
    const objects = render(withAll);
    for (const role of [...roles, 'redis']) {
      const pod = podOf(objects, role);
      expect(pod).toMatchObject({
        automountServiceAccountToken: false,
        securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
      });
      expect(containerOf(objects, role)).toMatchObject({
        securityContext: {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        },
        resources: { limits: { memory: expect.any(String) } },
        startupProbe: expect.any(Object),
        livenessProbe: expect.any(Object),
        readinessProbe: expect.any(Object),
      });
    }
    const secretsOf = (role: string) => containerOf(objects, role).envFrom?.map(({ secretRef }) => secretRef?.name);
    expect(secretsOf('api')).toEqual(['promptmill-redis', 'promptmill-api', 'promptmill-store', 'promptmill-metrics']);
    expect(secretsOf('worker')).toEqual(['promptmill-redis', 'promptmill-worker', 'promptmill-metrics']);
    expect(secretsOf('collector')).toEqual(['promptmill-redis', 'promptmill-store', 'promptmill-metrics']);
  });

  it('gives workers the files where they need them', () => {
    const worker = { store: true };
    const mounts = ({ volumeMounts = [] }: ReturnType<typeof containerOf>) => volumeMounts.map(({ name }) => name);
    expect(mounts(containerOf(render({ ...withVolume, worker }), 'worker'))).toContain('data');
    expect(mounts(containerOf(render(withVolume), 'worker'))).not.toContain('data');
    const secrets = containerOf(render({ ...withBucket, worker }), 'worker').envFrom ?? [];
    expect(secrets.map(({ secretRef }) => secretRef?.name)).toContain('promptmill-store');
  });

  it('lets a role end its work, and keeps most of its pods when a node is drained', () => {
    const objects = render(withAll);
    for (const role of roles) {
      const { graceMs } = configOf(objects, role);
      expect(podOf(objects, role).terminationGracePeriodSeconds).toBeGreaterThanOrEqual(graceMs / 1000 + 15 + 5);
      const { spec } = get(objects, 'PodDisruptionBudget', `mill-${role}`);
      expect(get(objects, 'Deployment', `mill-${role}`).spec?.template.metadata?.labels).toMatchObject(
        spec?.selector?.matchLabels ?? { none: '' },
      );
    }
  });

  it('starts Redis as docker-compose does', () => {
    const { services } = parse(readFileSync(join(root, 'docker-compose.yml'), 'utf8'), { merge: true }) as {
      services: { redis: { command: string; image: string } };
    };
    const optionsOf = (command: readonly string[]): string[] =>
      command
        .join(' ')
        .split(' --')
        .slice(1)
        .filter((option) => !/^(?:dir|aclfile|maxmemory) /.test(option));
    const { args = [], image } = containerOf(render(withBucket), 'redis');
    expect(optionsOf(args)).toEqual(optionsOf(services.redis.command.split(/\s+/)));
    expect(services.redis.image).toContain(image);
  });

  it('lets only the roles reach Redis', () => {
    const { spec } = get(render(withBucket), 'NetworkPolicy', 'mill-redis');
    expect(spec?.ingress).toEqual([
      {
        from: [
          {
            podSelector: {
              matchLabels: { 'app.kubernetes.io/name': 'promptmill', 'app.kubernetes.io/instance': 'mill' },
            },
          },
        ],
        ports: [{ port: 6379 }],
      },
    ]);
  });

  it('leaves the number of workers to KEDA', () => {
    expect(get(render(withAll), 'Deployment', 'mill-worker').spec).not.toHaveProperty('replicas');
    expect(get(render(withAll), 'ScaledObject', 'mill-worker').spec?.scaleTargetRef.name).toBe('mill-worker');
    expect(get(render(withBucket), 'Deployment', 'mill-worker').spec?.replicas).toBe(2);
  });

  it('says what is missing', () => {
    expect(() => helm('template', {})).toThrow(/store\.s3 .* or store\.claim/);
    expect(() => helm('template', { ...withAll, keda: { enabled: true } })).toThrow(/keda\.prometheus/);
    expect(() => helm('template', { ...withAll, secrets: {} })).toThrow(/secrets\.metrics/);
  });

  describe.runIf(isHere('promtool'))('asks Prometheus', () => {
    /** Lanes as two apis show them: [lane, waiting, in flight, allowed]. */
    it.each([
      [
        'the lane that could use most calls',
        [
          ['a', 900, 100, undefined],
          ['b', 10, 10, 50],
        ],
        1000,
      ],
      [
        'no more than a lane allows',
        [
          ['a', 900, 50, 50],
          ['b', 20, 50, 200],
        ],
        70,
      ],
      ['nothing while nothing waits', [['a', 0, 0, 50]], 0],
    ] as const)('for %s', (_, lanes, wanted) => {
      const { query } = get(render(withAll), 'ScaledObject', 'mill-worker').spec?.triggers[0]?.metadata ?? {};
      const series = ['mill-api-1', 'mill-api-2'].flatMap((pod) =>
        lanes.flatMap(([lane, waiting, inFlight, allowed]) =>
          Object.entries({ waiting, in_flight: inFlight, allowed, live_waiting: 5 })
            .filter(([, value]) => value !== undefined)
            .map(([state, value]) => ({
              series: `promptmill_lane_requests{namespace="llm",pod="${pod}",lane="${lane}",state="${state}"}`,
              values: `${value}x3`,
            })),
        ),
      );
      const directory = mkdtempSync(join(tmpdir(), 'promptmill-test-chart-'));
      const tests = join(directory, 'tests.json');
      writeFileSync(
        tests,
        JSON.stringify({
          tests: [
            {
              interval: '15s',
              input_series: series,
              promql_expr_test: [{ expr: query, eval_time: '30s', exp_samples: [{ labels: '{}', value: wanted }] }],
            },
          ],
        }),
      );
      execFileSync('promtool', ['test', 'rules', tests], { stdio: 'pipe' });
      rmSync(directory, { recursive: true });
    });
  });
});
