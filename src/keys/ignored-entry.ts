import { NOBODYS_FOLDERS } from '../accounts/nobodys.ts';

/** Entries of file systems, NAS systems, Windows and macOS, in capitals or not. What they keep in dotfiles is hidden anyway. */
const SYSTEMS: ReadonlySet<string> = new Set([
  ...NOBODYS_FOLDERS.map((name) => name.toLowerCase()),
  ...['~snapshot', '@__thumb', 'thumbs.db', 'ehthumbs.db', 'desktop.ini', 'icon\r', '.ds_store'],
]);

/** The second half of a file on macOS, and the journal of a sync client, which is written all day. */
const JOURNALS = /^\._|^\.sync_.+\.db/s;

/** Folders whose contents change by themselves. A mere look may mount them. */
const SNAPSHOTS: ReadonlySet<string> = new Set(['.snapshot', '.snapshots', '.zfs']);

/** What editors and sync clients leave beside the files that they write (4913 is vim's test whether it may write), and Kubernetes (`..data`). */
const EDITORS = /^\.|~$|\.swp$|^#.*#$|^4913$|___jb_(?:tmp|old)___$|^~(?:\$|syncthing~)/s;

/** Whether an entry of the key tree was not put there by an operator. It declares nothing, and there is no finding for it. */
export const isIgnored = (entry: string): boolean => EDITORS.test(entry) || SYSTEMS.has(entry.toLowerCase());

/** Whether changes of an entry say nothing about the tree. A change of a dotfile may: a link among them swaps all files of a folder. */
export const isSystems = (entry: string): boolean =>
  SYSTEMS.has(entry.toLowerCase()) || SNAPSHOTS.has(entry) || JOURNALS.test(entry);
