import { failureInOneLine } from '../failure.ts';
import { peekRegistry } from '../host/registry.ts';
import type { Places } from '../places.ts';
import { scanRepositories } from '../repositories/scan.ts';
import { printable } from '../text/printable.ts';
import { foundText, judgeRepositoriesDisk } from './repositories-disk.ts';

/**
 * Says where /repos is not what it was: its disk is gone or is another one, or none of the repositories on record is left. An empty
 * /repos is new only to a server that never had a repository. Works with and without a running server.
 *
 * @returns null where all is as it was; else what was found, printable
 */
export const vanishedRepositories = (places: Places): string | null => {
  try {
    const { verdict } = judgeRepositoriesDisk(places);
    if (verdict.kind === 'doubtful') return foundText(verdict);
    const kept = peekRegistry(places.state).repositories?.kept ?? [];
    if (kept.length === 0) return null;
    const present = new Set(scanRepositories(places.repos).map(({ name }) => name));
    return kept.some((name) => present.has(name))
      ? null
      : foundText({ kind: 'doubtful', other: false, expected: kept.length, missing: kept });
  } catch (error) {
    return `it is not known whether this is the disk that was here: ${printable(failureInOneLine(error))}`;
  }
};
