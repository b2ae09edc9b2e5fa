/** One entry directly below /repos, as lstat saw it. Dotfiles are not listed. */
export type RepositoryFolder = {
  readonly name: string;
  /** 'other' is a link, a file, a device: never used, never followed. */
  readonly kind: 'folder' | 'other';
  readonly uid: number;
  readonly gid: number;
  /** Permission bits with setuid, setgid and sticky: mode & 0o7777. */
  readonly mode: number;
  /** Whether there is anything in it; left out where that was not looked at. */
  readonly filled?: boolean;
};

/** The mode of a repository folder: the account and its private group; new files below inherit the group. */
export const REPOSITORY_MODE = 0o2770;
