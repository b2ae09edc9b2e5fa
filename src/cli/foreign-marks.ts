import type { AccountStatus } from '../control/server-status.ts';
import type { Surveyed } from '../survey/repository-survey.ts';
import type { Mark } from './mark.ts';

/**
 * What root has left in a repository. Its account cannot use it, and backups fail until it is handed over.
 *
 * @param account whose repository it is; null: an admin made it
 */
export const foreignMarks = ({ foreign, nested }: Surveyed, account: AccountStatus | null | undefined): Mark[] => {
  if (!foreign) return [];
  const { text, lockedSince, linked } = foreign;
  const [whose, next] =
    account === null
      ? // The server never hands over the admins’ files by itself.
        ['the admins’', 'update-borgusers tells what to do']
      : [
          'its account’s',
          lockedSince !== null
            ? 'a borg that is not its account’s works in it'
            : linked
              ? 'doctor tells more'
              : // If an account has very many repositories, an update does not look into each one.
                nested
                ? 'an update hands them over, or at once: borgserver doctor --fix'
                : 'an update hands them over',
        ];
  return [{ code: 'foreign-owners', level: 'error', text: `holds files that are not ${whose} (${next}): ${text}` }];
};
