import { signal } from '@preact/signals';

const views = ['batches', 'new-batch', 'lanes', 'use', 'webhooks'] as const;

/** What the page shows. It is behind the `#` of the URL: a reload shows the same, and no log on the way has ids. */
export type Route = { readonly name: (typeof views)[number] } | { readonly name: 'batch'; readonly id: string };

/** Reads `#/batches`, `#/batches/batch_…`, `#/new-batch`, `#/lanes`, `#/use` and `#/webhooks`. Anything else shows the batches. */
export const parseRoute = (hash: string): Route => {
  const view = views.find((name) => hash === `#/${name}`);
  if (view) return { name: view };
  const [, id] = /^#\/batches\/([\w-]+)$/.exec(hash) ?? [];
  return id === undefined ? { name: 'batches' } : { name: 'batch', id };
};

export const hrefOf = (route: Route): string => (route.name === 'batch' ? `#/batches/${route.id}` : `#/${route.name}`);

/** The route, kept up to date as people follow links and go back. */
export const createRouter = (window: Pick<Window, 'location' | 'addEventListener'>) => {
  const route = signal(parseRoute(window.location.hash));
  window.addEventListener('hashchange', () => {
    route.value = parseRoute(window.location.hash);
  });
  return {
    route,
    go(to: Route): void {
      window.location.hash = hrefOf(to);
    },
  };
};

export type Router = ReturnType<typeof createRouter>;
