import { join } from 'node:path';
import * as z from 'zod';
import { accountNamed, type State } from '../accounts/account.ts';
import { failureInOneLine } from '../failure.ts';
import { readStateFile, writeStateFile } from '../host/state-file.ts';
import type { Logger } from '../log.ts';
import { createBucket } from './bucket.ts';
import { FAILURES, type Failure } from './outcome.ts';
import type { Ended } from './outcomes.ts';

const format = z.array(
  z.object({
    repository: z.string().max(500),
    account: z.string().max(256),
    cause: z.enum(Object.keys(FAILURES) as [Failure, ...Failure[]]),
    wrote: z.boolean(),
    /** Milliseconds since the epoch. */
    at: z.number(),
  }),
);

/** A repository whose last session failed because of the server. */
export type FailedSession = z.infer<typeof format>[number];

const FILE = 'failed-sessions.json';
const WRITE_AFTER_MS = 5000;
/** How many entries are kept, in all and for one account: an account may have as many repositories as it likes. */
const MOST = 20_000;
const MOST_OF_ACCOUNT = 100;
/** Where a disk is full, it is mostly the one of this file, too. */
const COMPLAINTS = { burst: 1, perSecond: 1 / 3600 };

/**
 * Remembers over restarts, in failed-sessions.json, of which repositories the last session failed because of the server. A repository is
 * forgotten once a later session of it has ended well; where writing failed, once a later session has written. What cannot be written to the
 * file is kept in memory, and tried again.
 */
export const openFailedSessions = (state: string, log: Logger) => {
  const path = join(state, FILE);
  const known = new Map(readKnown(path, log).map((each) => [each.repository, each]));
  const mayComplain = createBucket(COMPLAINTS.burst, COMPLAINTS.perSecond, () => performance.now());
  let granted: State | null = null;
  let timer: NodeJS.Timeout | null = null;
  let unwritten = false;

  const write = (): void => {
    timer = null;
    try {
      writeStateFile(path, [...known.values()]);
      unwritten = false;
    } catch (error) {
      if (mayComplain())
        log.error({ file: path, error: failureInOneLine(error) }, 'which sessions failed could not be written down');
    }
  };
  const changed = (): void => {
    unwritten = true;
    timer ??= setTimeout(write, WRITE_AFTER_MS);
  };
  const forget = (repository: string): void => {
    if (known.delete(repository)) changed();
  };
  const room = (account: string): boolean =>
    known.size < MOST && [...known.values()].filter((each) => each.account === account).length < MOST_OF_ACCOUNT;

  return {
    note: ({ repository, account, what, wrote }: Ended): void => {
      const before = known.get(repository);
      if (what === 'well') {
        if (before && (wrote || !before.wrote)) forget(repository);
        return;
      }
      if (!before && !room(account)) return;
      const failed = { repository, account, cause: what, wrote: wrote || before?.wrote === true, at: Date.now() };
      known.set(repository, failed);
      changed();
    },
    /** Takes what is granted from now on. Nothing is told of an account that is gone. */
    granted: (next: State): void => {
      granted = next;
      if (unwritten) timer ??= setTimeout(write, WRITE_AFTER_MS);
      for (const { repository, account } of known.values()) if (!accountNamed(next, account)) forget(repository);
    },
    list: (): readonly FailedSession[] =>
      [...known.values()].filter(({ account }) => granted === null || accountNamed(granted, account) !== undefined),
    close: (): void => {
      if (timer) clearTimeout(timer);
      if (unwritten) write();
    },
  };
};

const readKnown = (path: string, log: Logger): readonly FailedSession[] => {
  try {
    return readStateFile(path, format).value ?? [];
  } catch (error) {
    log.error({ file: path, error: failureInOneLine(error) }, 'which sessions failed cannot be read; it is begun anew');
    return [];
  }
};
