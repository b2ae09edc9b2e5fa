import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readHostId } from '../borg/host-id.ts';
import { findLockOwner } from '../borg/lock-owner.ts';
import { quoted } from '../borg/serve-arguments.ts';
import type { AccountStatus, ServerStatus } from '../control/server-status.ts';
import { failureInOneLine } from '../failure.ts';
import type { Places } from '../places.ts';
import type { Surveyed } from '../survey/repository-survey.ts';
import { firstOf, plural } from '../text/list.ts';
import { printable } from '../text/printable.ts';
import { sizeText } from '../text/size.ts';
import { diagnoseAppendOnly } from './diagnose-append-only.ts';
import { diagnoseDamage } from './diagnose-damage.ts';
import { diagnoseTooDeep } from './diagnose-too-deep.ts';
import { type Diagnosis, error, ok, warning } from './diagnosis.ts';

const DAY_MS = 86_400_000;
const MOST_NAMES = 10;

/** What else can be wrong with repositories; `server` null: accounts are unknown. */
export const diagnoseRepositories = (
  places: Places,
  server: ServerStatus | null,
  surveyed: readonly Surveyed[],
  now: number,
): readonly Diagnosis[] => [
  ...diagnoseLocks(places, surveyed, now),
  ...diagnoseTimes(surveyed, now),
  ...diagnoseKeys(places, surveyed),
  ...diagnoseNonces(surveyed),
  ...diagnoseDamage(surveyed),
  ...diagnoseAppendOnly(server, surveyed),
  ...surveyed.flatMap(({ path, state }) =>
    state?.kind === 'unreadable'
      ? [
          error(
            'repositories',
            `${printable(path)} cannot be read: ${printable(state.why)}`,
            'see what is there, and check the disk',
          ),
        ]
      : [],
  ),
  ...(server ? diagnoseTooDeep(places, server, surveyed) : []),
  ...(server ? [...diagnoseQuotas(server.accounts, surveyed), ...diagnoseOrphans(server, surveyed)] : []),
];

const diagnoseLocks = (places: Places, surveyed: readonly Surveyed[], now: number): readonly Diagnosis[] => {
  let own: string | null;
  try {
    own = existsSync(join(places.state, 'host-id')) ? readHostId(places) : null;
  } catch (failure) {
    return [error('locks', printable(failureInOneLine(failure)), 'put the old host id back, or remove the file')];
  }
  const stale = surveyed.flatMap(({ path, state }) =>
    (state?.kind === 'repository' ? state.locks : []).flatMap(({ host, pid, since }) => {
      const shown = printable(path);
      const cure = `see that nobody uses it, then: borgserver borg break-lock ${quoted(path)}`;
      if (host === own)
        return findLockOwner(pid) ? [] : [warning('locks', `${shown} is locked by a process that is gone`, cure)];
      const hours = Math.floor((now - since) / 3_600_000);
      return now - since > DAY_MS
        ? [
            warning(
              'locks',
              `${shown} is locked for ${hours} h by ${printable(host, 60)}, which is not this server`,
              cure,
            ),
          ]
        : [];
    }),
  );
  return stale.length > 0 ? stale : [ok('locks', 'no lock is left behind')];
};

/** Whoever overwrites the key of a repository keeps its owner out. But it may have been the owner, with another passphrase. */
const diagnoseKeys = (places: Places, surveyed: readonly Surveyed[]): readonly Diagnosis[] =>
  surveyed.flatMap(({ path, state }) => {
    const former = state?.kind === 'repository' ? state.formerKeys : [];
    if (former.length === 0) return [];
    const folder = join(places.repos, path, 'former-keys');
    const times = former.length === 1 ? 'once' : `${former.length} times`;
    return [
      warning(
        'keys',
        `${printable(path)}: an append-only client has replaced its key ${times}; the former ${former.length === 1 ? 'one is' : 'ones are'} kept`,
        `if that was not its owner, put the former key back, whose passphrase is the one of that time: borgserver borg key import ${quoted(path)} ${quoted(join(folder, former[0] ?? ''))}; if it was: borgserver repair ${quoted(path)} former-keys`,
      ),
    ];
  });

/** No backup reaches this number. A client that is not borg can raise the counter, and then borg ends each backup with an AssertionError. */
const diagnoseNonces = (surveyed: readonly Surveyed[]): readonly Diagnosis[] =>
  surveyed.flatMap(({ path, state }) =>
    state?.kind === 'repository' && state.nonceSpent
      ? [
          error(
            'keys',
            `${printable(path)}: a client has raised the counter of its encryption to its end, and borg backs up no more`,
            `borgserver repair ${quoted(path)} nonce; where a backup came through meanwhile, also undo it: docs/append-only.md ("Undo deletions")`,
          ),
        ]
      : [],
  );

/** A time in the future: it was written under a wrong clock, or this clock is wrong. */
const diagnoseTimes = (surveyed: readonly Surveyed[], now: number): readonly Diagnosis[] => {
  const late = surveyed.filter(({ state }) => state?.kind === 'repository' && (state.committed ?? 0) > now + 600_000);
  return late.length === 0
    ? []
    : [
        warning(
          'clock',
          `backups from the future: ${namesOf(late)}`,
          'set the clock; until that time has come these count as fresh',
        ),
      ];
};

/**
 * The quota that borg serve gets comes before the one in config. That one counts where borg serve gets none, and for a borg that
 * runs on the server: it then refuses to prune what should have room.
 */
const diagnoseQuotas = (accounts: readonly AccountStatus[], surveyed: readonly Surveyed[]): readonly Diagnosis[] => {
  const quotas = new Map(accounts.filter(({ role }) => role !== 'admin').map(({ name, quota }) => [name, quota]));
  return surveyed.flatMap(({ path, folder, state }) => {
    const told = quotas.get(folder.name);
    const inConfig = state?.kind === 'repository' ? state.config.quota : null;
    if (told === undefined || inConfig === null || inConfig === told) return [];
    const shown = printable(path);
    const found = `${shown}: its config says ${sizeText(inConfig)}, `;
    return told === null
      ? [
          warning(
            'quota',
            `${found}which counts, since neither the role nor a key file says anything`,
            `borgserver borg config --delete ${quoted(path)} storage_quota`,
          ),
        ]
      : [
          warning(
            'quota',
            `${found}but ${sizeText(told)} is in force for clients`,
            `borgserver borg config ${quoted(path)} storage_quota ${sizeText(told)}`,
          ),
        ];
  });
};

const diagnoseOrphans = ({ accounts, puid }: ServerStatus, surveyed: readonly Surveyed[]): readonly Diagnosis[] => {
  const known = new Set(accounts.map(({ name }) => name));
  const tops = surveyed.filter(({ nested }) => !nested);
  const orphans = tops.filter(({ folder }) => !known.has(folder.name) && folder.uid !== puid);
  const folders = new Set(tops.map(({ folder }) => folder.name));
  const without = accounts.filter(({ role, name }) => role !== 'admin' && !folders.has(name));
  return [
    ...(orphans.length > 0
      ? [
          warning(
            'accounts',
            `${plural(orphans.length, 'repository', 'repositories')} without an account: ${namesOf(orphans)}`,
            'put the key file back; or keep them for later; or remove the folders',
          ),
        ]
      : []),
    ...without.map(({ name }) =>
      error(
        'accounts',
        `${name} has no folder`,
        'if it was there before, put it back; update-borgusers makes an empty one',
      ),
    ),
    ...(orphans.length + without.length === 0 ? [ok('accounts', 'every repository has its account')] : []),
  ];
};

const namesOf = (found: readonly Surveyed[]): string =>
  firstOf(
    found.map(({ path }) => printable(path, 60)),
    MOST_NAMES,
  );
