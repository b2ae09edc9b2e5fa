import { failure } from '../failure.ts';
import type { Settings } from '../settings.ts';
import { capabilitiesOf, readStatus } from '../system/proc.ts';

/** A right of root's that a container may lack, by its number (capabilities(7)), and what fails without it. */
type Capability = { readonly name: string; readonly number: number; readonly without: string };

const ALWAYS: readonly Capability[] = [
  { name: 'DAC_OVERRIDE', number: 1, without: 'keys and repositories of other owners cannot be read' },
  { name: 'KILL', number: 5, without: 'sessions of a key that is gone cannot be ended' },
  { name: 'SETGID', number: 6, without: 'nobody can log in' },
  { name: 'SETUID', number: 7, without: 'nobody can log in' },
  { name: 'SYS_CHROOT', number: 18, without: 'nobody can log in' },
];

/** Where all accounts have one uid, no folder has to change its owner. */
const WITH_OWN_IDENTITIES: readonly Capability[] = [
  { name: 'CHOWN', number: 0, without: 'repositories cannot be given to their accounts' },
  { name: 'FOWNER', number: 3, without: 'the modes of repositories cannot be set' },
  {
    name: 'FSETID',
    number: 4,
    without: 'the setgid bit of a folder is dropped, and admins cannot share what is new in it',
  },
];

/**
 * Checks that the process has the capabilities that the server needs. Without some of them it would start, and nobody could log
 * in. Without another it would say that it has ended a session, and the session would go on.
 *
 * @param status the text of /proc/self/status (proc_pid_status(5), CapEff)
 * @throws Error with cause `{ code: 'missing-capabilities', missing, remedy }`, one line in `missing` for each
 */
export const checkCapabilities = (
  { IDENTITIES }: Pick<Settings, 'IDENTITIES'>,
  status: string = readStatus('self'),
): void => {
  const has = capabilitiesOf(status);
  const needed = IDENTITIES === 'own' ? [...WITH_OWN_IDENTITIES, ...ALWAYS] : ALWAYS;
  const missing = needed.filter(({ number }) => !has(number));
  if (missing.length > 0)
    throw failure('the server lacks rights that it needs', {
      code: 'missing-capabilities',
      missing: missing.map(({ name, without }) => `without the capability ${name} ${without}`),
      remedy: 'give it the capabilities that docker-compose.yml gives it, or run it as root',
    });
};
