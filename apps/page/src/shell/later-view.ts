import type { FunctionComponent } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { html } from '../html.ts';

export interface LaterViewProps<Props> {
  /** It must not change. */
  readonly load: () => Promise<FunctionComponent<Props>>;
  readonly props?: Props;
}

/** A view whose modules are loaded when it is first shown, so that the first view need not wait for them. */
export const LaterView = <Props extends object>({ load, props }: LaterViewProps<Props>) => {
  const [loaded, setLoaded] = useState<{ readonly view?: FunctionComponent<Props>; readonly failed?: true }>({});
  useEffect(() => {
    let isGone = false;
    load().then(
      (view) => {
        if (!isGone) setLoaded({ view });
      },
      () => {
        if (!isGone) setLoaded({ failed: true });
      },
    );
    return () => {
      isGone = true;
    };
  }, [load]);
  if (loaded.failed) return html`<p role="alert">This part of the page could not be loaded. Reload the page.</p>`;
  return loaded.view ? html`<${loaded.view} ...${props} />` : html`<p aria-busy="true"></p>`;
};
