/**
 * What file systems and NAS systems put into a folder for themselves. None of these folders can be an account's name (name.ts).
 * Names that begin with a dot (.snapshot, .zfs, .Trash-0) are skipped wherever the server looks for repositories.
 */
const FOLDERS: ReadonlySet<string> = new Set([
  'lost+found',
  ...['@eaDir', '#recycle', '#snapshot', '@tmp', '@Recycle', '@Recently-Snapshot', '@sharebin'],
  ...['System Volume Information', '$RECYCLE.BIN', 'Network Trash Folder', 'Temporary Items'],
]);
const FILES: ReadonlySet<string> = new Set([
  ...['aquota.user', 'aquota.group', 'quota.user', 'quota.group'],
  ...['Thumbs.db', 'desktop.ini'],
]);

/** The names of folders that are nobody's repository, and hold none. */
export const NOBODYS_FOLDERS: readonly string[] = [...FOLDERS];

/** Whether an entry of /repos, or of a folder below it, belongs to the system and is nobody's repository. */
export const isNobodys = (name: string, kind: 'folder' | 'other'): boolean =>
  name.startsWith('.') || FOLDERS.has(name) || (kind === 'other' && FILES.has(name));
