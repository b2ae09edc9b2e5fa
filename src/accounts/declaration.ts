import type { AuthorizedKey } from './authorized-key.ts';
import type { Directives } from './directives.ts';
import type { Finding } from './finding.ts';
import type { AccountName } from './name.ts';
import type { Role } from './role.ts';

/** Takes the place of a file name where the keys of the single-user account come from the environment. It adds to admins/borg without a conflict. */
export const ENVIRONMENT = 'BORG_SSHKEYS';

/** One key file (or BORG_SSHKEYS) that names an account. A file without a valid key is declared too, with no keys. */
export type DeclaredAccount = Directives & {
  readonly name: AccountName;
  readonly role: Role;
  /** Path as an operator sees it: /sshkeys/repos/web01.pub. */
  readonly file: string;
  readonly keys: readonly AuthorizedKey[];
  /** The file is there but cannot be read just now. The account keeps what it has and gains nothing. */
  readonly unreadable: boolean;
  /** One of its directives was wrong. Perhaps it was meant to set a quota, so the quota that runs is kept. */
  readonly doubtful?: true;
  /** Changes whenever the file does: inode, mtime, ctime and size. */
  readonly version: string;
};

/** How the reading of one role folder went. Anything but 'read' freezes the accounts of that role. */
export type FolderState = 'read' | 'missing' | 'unreadable';

/** Everything the operator declared, read at one time. */
export type Declaration = {
  readonly folders: Readonly<Record<Role, FolderState>>;
  /**
   * In no particular order. Several may have one name: that is a conflict, and the core finds it. For a folder that cannot be
   * read just now: the files of its last reading, as unreadable.
   */
  readonly accounts: readonly DeclaredAccount[];
  /** What is wrong with lines, files and names. */
  readonly findings: readonly Finding[];
};
