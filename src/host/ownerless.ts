import { errorCode } from '../system/errno.ts';

/** How a file system without Unix owners answers a change of owner or mode. */
const REFUSALS: ReadonlySet<unknown> = new Set(['EPERM', 'EINVAL', 'EOPNOTSUPP', 'ENOTSUP', 'ENOSYS']);

/**
 * Changes an owner or a mode where the file system keeps such things. Where it does not, the mount says who owns everything, and
 * that is no error: a server that needs separate owners checks it once, at its start.
 *
 * @throws every other error of the system
 */
export const whereOwnersAreKept = (change: () => void): void => {
  try {
    change();
  } catch (error) {
    if (!REFUSALS.has(errorCode(error))) throw error;
  }
};
