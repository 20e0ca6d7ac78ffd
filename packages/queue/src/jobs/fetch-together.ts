/** What BullMQ's script answers: the job's data and id, or neither, and two delays. */
type Fetched = unknown[];

export interface FetchTogetherOptions {
  /** Fetches one job under a token of its own. */
  readonly fetch: (token: string) => Promise<Fetched>;
  /** How many jobs the worker can take now, at least the one that it asks for. */
  readonly room: () => number;
  readonly putBack: (id: string, token: string) => Promise<unknown>;
}

/** More fetches at once would keep Redis busy with one worker for too long. */
const mostAtOnce = 16;

/**
 * BullMQ's worker fetches jobs one after another, so when many calls come at once to an idle worker, the last of them
 * begins many round trips later. Where several fetches in a row found a job, the next ones go out together. The worker
 * still gets the answers one by one: first those with a job.
 */
export const createFetchTogether = ({ fetch, room, putBack }: FetchTogetherOptions) => {
  const fetched: { readonly answer: Fetched; readonly token: string }[] = [];
  const tokens = new Map<unknown, string>();
  let foundInRow = 0;

  const fetchMore = async (token: string): Promise<void> => {
    const count = Math.max(1, Math.min(room(), mostAtOnce, foundInRow));
    const all = Array.from({ length: count }, (_, i) => (i === 0 ? token : `${token}.${i}`));
    const answers = await Promise.all(all.map(async (own) => ({ token: own, answer: await fetch(own) })));
    const found = answers.filter(({ answer: [data] }) => data);
    const empty = answers.find(({ answer: [data] }) => !data);
    foundInRow = empty ? found.length >> 1 : foundInRow + found.length;
    fetched.push(...found, ...(empty ? [empty] : []));
  };

  return {
    async next(token: string): Promise<Fetched> {
      if (fetched.length === 0) await fetchMore(token);
      const next = fetched.shift();
      if (!next) throw new Error('a fetch without an answer');
      const [data, id] = next.answer;
      if (data) tokens.set(id, next.token);
      return next.answer;
    },

    /** The token under which a job was fetched. */
    takeToken(id: unknown): string | undefined {
      const token = tokens.get(id);
      tokens.delete(id);
      return token;
    },

    /** Gives back the jobs that the worker has not got. */
    async putAllBack(): Promise<void> {
      const left = fetched.splice(0).filter(({ answer: [data] }) => data);
      await Promise.all(left.map(({ answer: [, id], token }) => putBack(String(id), token)));
    },
  };
};
