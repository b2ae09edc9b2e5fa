import { join } from 'node:path';
import * as z from 'zod';
import type { State } from '../accounts/account.ts';
import { boundSeen, type LastSeen } from '../accounts/last-seen.ts';
import { failureInOneLine } from '../failure.ts';
import { readStateFile, writeStateFile } from '../host/state-file.ts';
import type { Logger } from '../log.ts';
import type { Session } from './session.ts';

const format = z.array(
  z.object({
    account: z.string().max(256),
    fingerprint: z.string().max(128),
    at: z.iso.datetime(),
    address: z.string().max(128),
  }),
);

/** Logins within this time are written together: a server with a thousand clients does not write a thousand times. */
const WRITE_AFTER_MS = 5000;

/**
 * Remembers when each key last opened its account, over restarts, in last-seen.json. A record that cannot be read is set aside, and a new one is
 * begun. A write that fails is tried again with the next login. Neither keeps anybody from backing up.
 */
export const openLastSeenRecord = (state: string, log: Logger) => {
  const path = join(state, 'last-seen.json');
  const keyOf = ({ account, fingerprint }: Pick<LastSeen, 'account' | 'fingerprint'>): string =>
    `${account} ${fingerprint}`;
  let known: ReadonlyMap<string, LastSeen> = new Map(readKnown(path, log).map((each) => [keyOf(each), each]));
  let granted: State = new Map();
  let timer: NodeJS.Timeout | null = null;

  const write = (): void => {
    timer = null;
    const kept = boundSeen([...known.values()], granted);
    known = new Map(kept.map((each) => [keyOf(each), each]));
    try {
      writeStateFile(path, kept);
    } catch (error) {
      log.error(
        { file: path, error: failureInOneLine(error) },
        'the record of last logins could not be written; it is tried again',
      );
    }
  };

  return {
    note: ({ account, fingerprint, address, since }: Session): void => {
      const seen = { account, fingerprint, address, at: new Date(since).toISOString() };
      known = new Map(known).set(keyOf(seen), seen);
      timer ??= setTimeout(write, WRITE_AFTER_MS);
    },
    /** Takes what is granted from now on. Of other keys only the newest are kept. */
    granted: (next: State): void => {
      granted = next;
    },
    list: (): readonly LastSeen[] => [...known.values()],
    close: (): void => {
      if (!timer) return;
      clearTimeout(timer);
      write();
    },
  };
};

const readKnown = (path: string, log: Logger): readonly LastSeen[] => {
  try {
    const { value, damaged } = readStateFile(path, format);
    if (damaged) log.error({ file: path }, 'the record of last logins was damaged; it is set aside and begun anew');
    return value ?? [];
  } catch (error) {
    log.error(
      { file: path, error: failureInOneLine(error) },
      'the record of last logins cannot be read; it is begun anew',
    );
    return [];
  }
};

export type LastSeenRecord = ReturnType<typeof openLastSeenRecord>;
