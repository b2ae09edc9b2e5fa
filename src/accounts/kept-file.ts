/** The mode of a file that a repository shares with its snapshots: image/snapshots/keep.py makes it so. */
export const KEPT_MODE = 0o440;

const [TYPE, PLAIN_FILE] = [0o170000, 0o100000];

/**
 * Whether it is such a file. It is root's, so that its account may read and remove it, and cannot change what the snapshots have of it. Only root
 * can make one: a borg that runs as root makes files that its owner may write.
 *
 * @param found as stat(2) has it, with the type in its mode
 */
export const isKept = ({ uid, mode }: { readonly uid: number; readonly mode: number }): boolean =>
  uid === 0 && (mode & TYPE) === PLAIN_FILE && (mode & 0o7777) === KEPT_MODE;
