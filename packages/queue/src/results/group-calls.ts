interface Call<Member, Answer> {
  readonly member: Member;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

/** A group is sent as soon as it has this many members or this many characters. */
const maxMembers = 500;
const maxCharacters = 256 * 1024;

/** Answers the calls of a group. An error reaches all of them. */
const sendGroup = async <Member, Answer>(
  send: (key: string, members: readonly Member[]) => Promise<readonly Answer[]>,
  key: string,
  calls: readonly Call<Member, Answer>[],
): Promise<void> => {
  try {
    const answers = await send(
      key,
      calls.map(({ member }) => member),
    );
    for (const [i, { resolve }] of calls.entries()) resolve(answers[i] as Answer);
  } catch (error) {
    for (const { reject } of calls) reject(error);
  }
};

/**
 * Sends the first call of a key at once, and those that come meanwhile together when it has been answered. So calls of a key
 * stay in order, and only where there are many do they wait for each other.
 *
 * @param send gives an answer for each member, in their order
 */
export const groupWhileSending = <Member, Answer>(
  send: (key: string, members: readonly Member[]) => Promise<readonly Answer[]>,
) => {
  const groups = new Map<string, Call<Member, Answer>[]>();

  const sendAll = async (key: string, calls: Call<Member, Answer>[]): Promise<void> => {
    while (calls.length > 0) await sendGroup(send, key, calls.splice(0, maxMembers));
    groups.delete(key);
  };

  return (key: string, member: Member): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const call = { member, resolve, reject };
      const waiting = groups.get(key);
      if (waiting) {
        waiting.push(call);
        return;
      }
      const calls = [call];
      groups.set(key, calls);
      void sendAll(key, calls);
    });
};

/**
 * Gathers the calls of one event-loop turn into one call for each batch. Each caller gets the answer of its own member;
 * an error reaches all callers of the group.
 *
 * @param send gives an answer for each member, in their order
 * @param charactersOf a member's share of what is sent; default 0
 */
export const groupCalls = <Member, Answer>(
  send: (batchId: string, members: readonly Member[]) => Promise<readonly Answer[]>,
  charactersOf: (member: Member) => number = () => 0,
) => {
  let groups = new Map<string, { calls: Call<Member, Answer>[]; characters: number }>();

  const sendAll = (): void => {
    const waiting = groups;
    groups = new Map();
    for (const [batchId, { calls }] of waiting) void sendGroup(send, batchId, calls);
  };

  return (batchId: string, member: Member): Promise<Answer> =>
    new Promise((resolve, reject) => {
      if (groups.size === 0) setImmediate(sendAll);
      const group = groups.get(batchId) ?? { calls: [], characters: 0 };
      groups.set(batchId, group);
      group.calls.push({ member, resolve, reject });
      group.characters += charactersOf(member);
      if (group.calls.length < maxMembers && group.characters < maxCharacters) return;
      groups.delete(batchId);
      void sendGroup(send, batchId, group.calls);
    });
};
