import type { Directives } from '../accounts/directives.ts';
import type { Finding } from '../accounts/finding.ts';
import type { IdentityPolicy } from '../accounts/identity.ts';
import type { LastSeen } from '../accounts/last-seen.ts';
import { roleQuotas } from '../accounts/quota.ts';
import type { Role } from '../accounts/role.ts';
import type { BoxState } from '../borg/launcher-check.ts';
import type { LastPass, PassRecord } from '../reconcile/pass-record.ts';
import type { Alarm } from '../sessions/alarms.ts';
import type { FailedSession } from '../sessions/failed-sessions.ts';
import type { Session } from '../sessions/session.ts';
import type { Settings } from '../settings.ts';
import type { KeptStates } from '../snapshots/kept-states.ts';
import { serveArguments } from '../start/login-server.ts';
import type { HostingState } from '../start/session-hosting.ts';
import { VERSION } from '../version.ts';

/** An account with the quota that borg gets for it. Null: none. An admin's quota is that of every repository that it opens. */
export type AccountStatus = Pick<Directives, 'subRepositories'> & {
  readonly name: string;
  readonly role: Role;
  readonly uid: number;
  readonly keys: number;
  /** Bytes. */
  readonly quota: number | null;
  /** Milliseconds since the epoch: when any key last opened it. Null: never, as far as the server remembers. */
  readonly lastLogin: number | null;
  readonly connected: boolean;
};

/** What only the running server knows, for `borgserver status` and `borgserver doctor`. */
export type ServerStatus = {
  readonly version: string;
  readonly borg: string;
  readonly openssh: string;
  /** Milliseconds since the epoch. */
  readonly since: number;
  /** The admins' uid and gid. */
  readonly puid: number;
  readonly pgid: number;
  /** 'shared': the accounts of the repositories have the admins' uid, too. */
  readonly identities: IdentityPolicy['kind'];
  /** Why the kernel puts no box around each borg. Null where it does. */
  readonly box: BoxState;
  readonly port: number;
  /** Seconds without a backup after which a repository is stale; null: never. */
  readonly staleAfter: number | null;
  /** MIN_FREE: bytes, or 'auto'. */
  readonly minFree: number | 'auto';
  readonly lastPass: LastPass | null;
  readonly sessions: number;
  readonly findings: readonly Finding[];
  /** Where sshd's log and the kernel disagreed, in the last day. */
  readonly alarms: readonly Alarm[];
  readonly accounts: readonly AccountStatus[];
  /** Repositories whose last session failed through the server's fault. */
  readonly failedSessions: readonly FailedSession[];
  /** The snapshots of each repository that has some, or of which none can be taken. */
  readonly snapshots: readonly KeptStates[];
  /** Whether borg is loaded once for all sessions. */
  readonly sessionHost: HostingState;
};

/** What the server says of itself now. */
export const serverStatus = (
  settings: Settings,
  facts: Pick<ServerStatus, 'borg' | 'openssh' | 'since' | 'box'>,
  passes: PassRecord,
  sessions: readonly Pick<Session, 'account'>[],
  seen: readonly LastSeen[],
  alarms: readonly Alarm[],
): Omit<ServerStatus, 'failedSessions' | 'sessionHost' | 'snapshots'> => {
  const logins = new Map<string, number>();
  for (const { account, at } of seen) logins.set(account, Math.max(logins.get(account) ?? 0, Date.parse(at)));
  const connected = new Set(sessions.map(({ account }) => account));
  const quotas = roleQuotas(serveArguments(settings));
  return {
    ...{ version: VERSION, borg: facts.borg, openssh: facts.openssh, since: facts.since },
    ...{ puid: settings.PUID, pgid: settings.PGID, port: settings.SSH_PORT },
    ...{ identities: settings.IDENTITIES, box: facts.box, staleAfter: finite(settings.STALE_AFTER) },
    minFree: settings.MIN_FREE,
    ...{ lastPass: passes.last(), sessions: sessions.length, findings: passes.findings(), alarms },
    accounts: passes.accounts().map(({ name, role, uid, keys, quota, subRepositories }) => ({
      ...{ name, role, uid, keys, quota: finite(quota ?? quotas[role]) },
      ...{ lastLogin: logins.get(name) ?? null, connected: connected.has(name) },
      ...(subRepositories && { subRepositories }),
    })),
  };
};

/** JSON has no Infinity. */
const finite = (value: number): number | null => (Number.isFinite(value) ? value : null);
