import { join } from 'node:path';
import type { Preparation } from '../accounts/desired.ts';
import type { Finding } from '../accounts/finding.ts';
import { readRepositoryState } from '../borg/repository-state.ts';
import type { Places } from '../places.ts';
import { openArchiveRecord } from '../survey/archive-record.ts';

/**
 * Prepares folders as `prepare` does. For those with files of root's, it first remembers the last archive of their account: after the
 * handing over nothing says any more that root wrote the files, and they must not count as backups.
 *
 * @param handedOver called with each folder that is done
 */
export const rememberingOwn = async (
  places: Pick<Places, 'repos' | 'state'>,
  preparations: readonly Preparation[],
  prepare: () => Promise<readonly Finding[]>,
  handedOver: (name: string) => void,
): Promise<readonly Finding[]> => {
  const foreign = preparations.filter(({ action }) => action === 'repair-owners').map(({ name }) => name);
  if (foreign.length > 0) remember(places, foreign);
  const findings = await prepare();
  const open = new Set(findings.map(({ file }) => file));
  for (const name of foreign) if (!open.has(`/repos/${name}`)) handedOver(name);
  return findings;
};

const remember = ({ repos, state }: Pick<Places, 'repos' | 'state'>, names: readonly string[]): void => {
  const record = openArchiveRecord(state, 'kept');
  for (const name of names) {
    try {
      const top = readRepositoryState(join(repos, name), record);
      for (const inside of top && 'nested' in top ? top.nested : [])
        readRepositoryState(join(repos, name, inside), record, 0);
    } catch {
      // It cannot be read: then nothing was known of it.
    }
  }
  record.close();
};
