import { failureInOneLine } from '../failure.ts';
import { peekRegistry } from '../host/registry.ts';
import type { Places } from '../places.ts';
import { scanRepositories } from '../repositories/scan.ts';
import { printable } from '../text/printable.ts';
import { foundText, judgeRepositoriesDisk } from './repositories-disk.ts';

/**
 * Says where /repos is not what it was: its disk is gone or another one, or not one of the repositories that are on record is left. An
 * empty /repos is new only to a server that never had any. Works beside a server and without one.
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
    return `it cannot be told whether it is the disk that was here: ${printable(failureInOneLine(error))}`;
  }
};
