import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { ApiClient } from '../api/api-client.ts';
import type { Caller } from '../api/answers.ts';
import type { Router } from './route.ts';
import type { SessionControl } from './session.ts';

/** What views need. */
export interface PageContext {
  readonly client: ApiClient;
  readonly session: SessionControl;
  readonly router: Router;
  readonly caller: Caller;
  /** Whether there is a Bull Board to link to. */
  readonly hasBoard: boolean;
  /** Keeps what someone has filled in until the tab is closed or they sign out. */
  readonly storage: Storage;
}

export const Context = createContext<PageContext | undefined>(undefined);

export const usePage = (): PageContext => {
  const context = useContext(Context);
  if (!context) throw new Error('a view is outside of the page');
  return context;
};
