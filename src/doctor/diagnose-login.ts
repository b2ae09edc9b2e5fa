import { join } from 'node:path';
import { execa } from 'execa';
import { loginGroup } from '../accounts/role.ts';
import { NO_BOX_CURE, noBoxText } from '../borg/launcher-check.ts';
import type { AccountStatus, ServerStatus } from '../control/server-status.ts';
import { failureInOneLine } from '../failure.ts';
import type { Places } from '../places.ts';
import { SSHD_CONFIG_FILES } from '../sshd/config.ts';
import { effectiveOptions } from '../sshd/effective.ts';
import { probeSshd } from '../sshd/probe.ts';
import { doorOf, readForcedCommand } from '../sshd/session-client.ts';
import { readSessionWords } from '../sshd/session-terms.ts';
import { printable } from '../text/printable.ts';
import { diagnoseHostKeys } from './diagnose-host-keys.ts';
import { diagnoseSessionHost } from './diagnose-session-host.ts';
import { type Diagnosis, error, ok, warning } from './diagnosis.ts';

/** Whether the server serves, and lets each account do what its role says and nothing more. */
export const diagnoseLogin = async (
  places: Places,
  server: ServerStatus | null,
  now: number,
): Promise<readonly Diagnosis[]> => [
  ...diagnoseServer(server),
  ...(await diagnoseHostKeys(join(places.sshkeys, 'host'), now)),
  ...(server ? await diagnoseRoles(places, server.accounts) : []),
];

const diagnoseServer = (server: ServerStatus | null): readonly Diagnosis[] => {
  if (!server) {
    return [
      warning(
        'server',
        'no server runs here: accounts, keys and owners cannot be looked at',
        'start it, and run doctor beside it (docker exec)',
      ),
    ];
  }
  const { lastPass, findings, version, borg, openssh, accounts, alarms } = server;
  const failed = lastPass?.failed ?? null;
  return [
    failed === null
      ? ok('server', `borgserver ${version}, borg ${borg}, ${openssh}; ${accounts.length} accounts`)
      : error('server', `the last update failed: ${printable(failed)}`, 'cure that; it is tried again by itself'),
    server.box === null
      ? ok('box', 'each borg is in a box of the kernel')
      : warning('box', noBoxText(server.box), NO_BOX_CURE),
    diagnoseSessionHost(server.sessionHost),
    ...(lastPass?.stopped
      ? [error('server', 'the last update was stopped by a conflict', 'see the errors in keys')]
      : []),
    ...alarms.map(({ what, times, last }) =>
      error(
        'sessions',
        `${printable(what)} (${times} times, last ${new Date(last).toISOString()})`,
        'look at the lines around it in the log: it is either a bug of the server or an attack on it',
      ),
    ),
    ...(findings.length === 0 ? [ok('keys', 'every key file is right')] : []),
    ...findings.map(({ severity, file, line, message, remedy }) =>
      (severity === 'error' ? error : warning)('keys', `${file}${line === null ? '' : `:${line}`}: ${message}`, remedy),
    ),
  ];
};

/** sshd's own answer (sshd(8), -T and -C) for one account of each kind. */
const diagnoseRoles = async (places: Places, accounts: readonly AccountStatus[]): Promise<readonly Diagnosis[]> => {
  const kinds = new Map(accounts.map((account) => [loginGroup(account).name, account]));
  try {
    const { path } = await probeSshd();
    return await Promise.all(
      [...kinds].map(async ([group, account]) => {
        const { stdout } = await execa(
          path,
          [
            '-T',
            '-f',
            join(places.run, SSHD_CONFIG_FILES.main),
            '-C',
            `user=${account.name},host=localhost,addr=127.0.0.1`,
          ],
          { stdin: 'ignore' },
        );
        const wrong = wrongSettings(stdout, account, places);
        return wrong.length === 0
          ? ok('sshd', `${group} is restricted as it should be (asked for ${account.name})`)
          : error(
              'sshd',
              `${group} is not restricted as it should be: ${printable(wrong.join('; '))}`,
              'restart the server: it writes its configuration anew',
            );
      }),
    );
  } catch (failure) {
    return [error('sshd', `sshd does not answer: ${printable(failureInOneLine(failure))}`, 'restart the server')];
  }
};

const CLOSED: readonly (readonly [string, string])[] = [
  ['disableforwarding', 'yes'],
  ['allowtcpforwarding', 'no'],
  ['allowagentforwarding', 'no'],
  ['permittty', 'no'],
  ['permituserrc', 'no'],
  ['permituserenvironment', 'no'],
  ['passwordauthentication', 'no'],
  ['kbdinteractiveauthentication', 'no'],
  ['usepam', 'no'],
];

/** @param effective what `sshd -T` printed */
export const wrongSettings = (
  effective: string,
  account: Pick<AccountStatus, 'role' | 'subRepositories'>,
  places: Pick<Places, 'repos' | 'run'>,
): readonly string[] => {
  const settings = effectiveOptions(effective);
  const closed = CLOSED.filter(([name, value]) => settings.get(name) !== value);
  const command = settings.get('forcecommand') ?? '';
  const { door, cold } = readForcedCommand(command);
  const group = loginGroup(account);
  const hosted = door === null ? null : readSessionWords(places.run, group.name);
  const isDoor = door === null || (door === doorOf(places.run, group) && hosted !== null);
  const commands = [cold, ...(hosted ? [shownWords(hosted)] : [])];
  return [
    ...closed.map(([name]) => `${name} ${settings.get(name) ?? 'unset'}`),
    ...(isDoor && commands.every((each) => isRestricted(each, account, places)) ? [] : [`forcecommand ${command}`]),
    ...(account.role === 'append-only' && !commands.every((each) => / --append-only( |$)/.test(each))
      ? ['no --append-only']
      : []),
    ...(settings.get('authorizedkeysfile') === `${places.run}/authorized_keys/%u` ? [] : ['authorizedkeysfile']),
  ];
};

const isRestricted = (
  command: string,
  { role, subRepositories }: Pick<AccountStatus, 'role' | 'subRepositories'>,
  { repos }: Pick<Places, 'repos'>,
): boolean => {
  const restriction =
    role === 'admin'
      ? `--restrict-to-path ${repos}`
      : `--restrict-to-${subRepositories ? 'path' : 'repository'} "${repos}/$USER"`;
  return command.split(restriction).length === 2 && command.split('--restrict-to').length === 2;
};

/** Paths as they are in a forced command. */
const shownWords = (words: readonly string[]): string =>
  words.map((word) => (word.includes('$USER') ? `"${word}"` : word)).join(' ');
