import type { AuthorizedKey } from './authorized-key.ts';
import type { Directives } from './directives.ts';
import type { Finding } from './finding.ts';
import type { AccountName } from './name.ts';
import type { Role } from './role.ts';

/** Stands for a file name where the keys of the single-user account come from the environment; it adds to admins/borg without a conflict. */
export const ENVIRONMENT = 'BORG_SSHKEYS';

/** One key file (or BORG_SSHKEYS) that names an account. A file without a valid key is declared too, with no keys. */
export type DeclaredAccount = Directives & {
  readonly name: AccountName;
  readonly role: Role;
  /** Path as an operator sees it: /sshkeys/repos/web01.pub. */
  readonly file: string;
  readonly keys: readonly AuthorizedKey[];
  /** The file is there but could not be read just now: what the account has, it keeps; it gains nothing. */
  readonly unreadable: boolean;
  /** A directive of it was not right: a quota that it may have meant to set is kept as it runs. */
  readonly doubtful?: true;
  /** Changes whenever the file does: inode, mtime, ctime and size. */
  readonly version: string;
};

/** How the reading of one role folder went. What is not 'read' freezes the accounts of that role. */
export type FolderState = 'read' | 'missing' | 'unreadable';

/** Everything the operator declared, as read in one go. */
export type Declaration = {
  readonly folders: Readonly<Record<Role, FolderState>>;
  /**
   * In no particular order; several may have one name, which is a conflict that the core finds. Of a folder that cannot be read
   * just now: the files that it had when it was read last, unreadable.
   */
  readonly accounts: readonly DeclaredAccount[];
  /** What was wrong with lines, files and names. */
  readonly findings: readonly Finding[];
};
