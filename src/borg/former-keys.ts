import { type FolderHandle, inFolder } from '../system/folder-handle.ts';

/** As image/launcher/guards/keys.py names them: when each was replaced, and how many were before it. */
export const FORMER_KEY = /^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ-\d\d$/;
/** The launcher keeps no more than these. */
export const MOST_FORMER_KEYS = 100;
/** Whatever else somebody has put there. */
const MOST_ENTRIES = 4096;

/** The files of the keys that append-only clients of a repository have replaced, the oldest first. */
export const readFormerKeys = ({ path }: FolderHandle): readonly string[] =>
  inFolder(`${path}/former-keys`, (keys) =>
    keys
      .someEntries(MOST_ENTRIES)
      .map(({ name }) => name)
      .filter((name) => FORMER_KEY.test(name))
      .sort()
      .slice(0, MOST_FORMER_KEYS),
  ) ?? [];
