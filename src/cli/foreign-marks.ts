import type { Surveyed } from '../daemon/repository-survey.ts';
import type { Mark } from './repository-marks.ts';

/** What root has left in a repository: its account cannot use it, and backups fail until it is handed over. */
export const foreignMarks = ({ foreign }: Surveyed): readonly Mark[] => {
  if (!foreign) return [];
  const { text, lockedSince, linked } = foreign;
  const next =
    lockedSince !== null
      ? 'a borg that is not its account’s works in it'
      : linked
        ? 'doctor tells more'
        : 'an update hands them over';
  return [
    { code: 'foreign-owners', level: 'error', text: `holds files that are not its account’s (${next}): ${text}` },
  ];
};
