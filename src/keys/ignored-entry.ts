import { NOBODYS_FOLDERS } from '../accounts/nobodys.ts';

/** Of file systems, NAS systems, Windows and macOS, in capitals or not; what they keep in dotfiles is hidden anyway. */
const SYSTEMS: ReadonlySet<string> = new Set([
  ...NOBODYS_FOLDERS.map((name) => name.toLowerCase()),
  ...['~snapshot', '@__thumb', 'thumbs.db', 'ehthumbs.db', 'desktop.ini', 'icon\r', '.ds_store'],
]);

/** macOS's other half of a file, and the journal of a sync client, which is written all day. */
const JOURNALS = /^\._|^\.sync_.+\.db/s;

/** Folders whose contents change by themselves, and may be mounted by a mere look. */
const SNAPSHOTS: ReadonlySet<string> = new Set(['.snapshot', '.snapshots', '.zfs']);

/** What editors and sync clients leave beside what they write (4913 is vim's look whether it may), and Kubernetes (`..data`). */
const EDITORS = /^\.|~$|\.swp$|^#.*#$|^4913$|___jb_(?:tmp|old)___$|^~(?:\$|syncthing~)/s;

/** Whether an entry of the key tree is nothing that an operator has put there: it declares nothing, and nothing is said of it. */
export const isIgnored = (entry: string): boolean => EDITORS.test(entry) || SYSTEMS.has(entry.toLowerCase());

/** Whether an entry's changes tell nothing about the tree. Dotfiles may: a link among them swaps all files of a folder. */
export const isSystems = (entry: string): boolean =>
  SYSTEMS.has(entry.toLowerCase()) || SNAPSHOTS.has(entry) || JOURNALS.test(entry);
