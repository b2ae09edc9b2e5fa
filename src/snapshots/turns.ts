import { setImmediate } from 'node:timers/promises';
import { failure } from '../failure.ts';

/**
 * Does one thing after another: first what somebody waits for, and then the rest, in turn for each account: one that has a thousand repositories keeps
 * nobody from his.
 */
export type Turns = {
  /** Resolves with what `work` returns. Rejects with what it throws, or with a failure 'stopping' where it is not begun any more. */
  readonly soon: <T>(account: string, work: () => Promise<T>) => Promise<T>;
  /** `work` throws nothing. What waits already under the same name is not done twice. */
  readonly later: (account: string, name: string, work: () => Promise<void>) => void;
  /** Resolves once nothing is being done for this account. */
  readonly over: (account: string) => Promise<void>;
  /** Begins nothing more, and resolves once what was begun is done. `tooLong` is called if that takes longer than so many milliseconds. */
  readonly close: (patience: number, tooLong: () => void) => Promise<void>;
};

type Work = { readonly account: string; readonly begin: () => Promise<void> };

export const createTurns = (): Turns => {
  const first: (Work & { readonly giveUp: () => void })[] = [];
  const rest = new Map<string, Map<string, () => Promise<void>>>();
  let running: Promise<void> | null = null;
  let now: { readonly account: string; readonly done: Promise<void> } | null = null;
  let closed = false;

  const next = (): Work | undefined => {
    if (closed) return undefined;
    return first.shift() ?? nextOfRest();
  };
  const nextOfRest = (): Work | undefined => {
    const [waiting] = rest;
    if (!waiting) return undefined;
    const [account, works] = waiting;
    const [oldest] = works;
    // Whoever has more comes last again.
    rest.delete(account);
    if (!oldest) return nextOfRest();
    const [name, begin] = oldest;
    works.delete(name);
    if (works.size > 0) rest.set(account, works);
    return { account, begin };
  };
  const run = async (): Promise<void> => {
    for (let work = next(); work; work = next()) {
      const done = work.begin();
      now = { account: work.account, done };
      await done;
      now = null;
      // What is looked at quickly must not keep the server from its other work.
      await setImmediate();
    }
    running = null;
  };
  const begin = (): void => {
    running ??= Promise.resolve().then(run);
  };
  return {
    soon: (account, work) =>
      new Promise((resolve, reject) => {
        const giveUp = (): void => reject(failure('the server stops', { code: 'stopping' }));
        if (closed) return giveUp();
        first.push({ account, begin: () => work().then(resolve, reject), giveUp });
        begin();
      }),
    later: (account, name, work) => {
      const works = rest.get(account) ?? new Map<string, () => Promise<void>>();
      if (closed || works.has(name)) return;
      rest.set(account, works.set(name, work));
      begin();
    },
    over: async (account) => {
      if (now?.account === account) await now.done;
    },
    close: async (patience, tooLong) => {
      closed = true;
      const timer = setTimeout(tooLong, patience);
      await running;
      clearTimeout(timer);
      for (const { giveUp } of first) giveUp();
    },
  };
};
