import { signal } from '@preact/signals';
import type { Caller } from '../api/answers.ts';

/** Whose page this is. `checking`: the key that the tab keeps is being checked. */
export type Session =
  | { readonly kind: 'checking' }
  | { readonly kind: 'signed out'; readonly problem?: string }
  | { readonly kind: 'signed in'; readonly caller: Caller };

export interface SessionOptions {
  /** Whether the api wants a key. */
  readonly wantsKey: boolean;
  /** Keeps the key until the tab is closed. Signing out empties it. */
  readonly storage: Pick<Storage, 'getItem' | 'setItem' | 'clear'>;
}

const storageName = 'promptmill-key';

/**
 * Who is signed in. The key is kept for the tab alone, never in a URL or a cookie, and goes out in the header of each call
 * only. Where the api wants no key, nobody is asked for one.
 */
export const createSession = ({ wantsKey, storage }: SessionOptions) => {
  const state = signal<Session>({ kind: 'checking' });
  let key = storage.getItem(storageName) ?? undefined;

  const signOut = (problem?: string): void => {
    key = undefined;
    // What someone else has filled in is not for who signs in next.
    storage.clear();
    state.value = { kind: 'signed out', ...(problem === undefined ? {} : { problem }) };
  };

  return {
    state,
    keyOf: (): string | undefined => key,
    /** Whether somebody may sign out. */
    hasKey: (): boolean => key !== undefined,
    /** @param findCaller asks the API whose key it is */
    async begin(findCaller: () => Promise<Caller>): Promise<void> {
      if (wantsKey && key === undefined) return signOut();
      state.value = { kind: 'signed in', caller: await findCaller() };
    },
    signIn(given: string, caller: Caller): void {
      key = given;
      storage.setItem(storageName, given);
      state.value = { kind: 'signed in', caller };
    },
    signOut: (): void => signOut(),
    /** A call was refused for want of a good key. */
    refuse(): void {
      if (state.value.kind === 'signed out') return;
      signOut(
        key === undefined ? undefined : 'Your key is not accepted any more. It may have expired or been revoked.',
      );
    },
  };
};

export type SessionControl = ReturnType<typeof createSession>;
