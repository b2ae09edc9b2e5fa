import * as z from 'zod';
import { IDENTITIES } from './accounts/identity.ts';
import { readPort, readPublicHost } from './accounts/public-address.ts';
import { readQuota } from './accounts/quota.ts';
import { LOGIN_GROUPS } from './accounts/role.ts';
import { readSnapshotKeep } from './accounts/snapshot-keep.ts';
import { failure } from './failure.ts';
import { readDuration } from './text/duration.ts';

const seconds = (fallback: number, min: number, max: number) =>
  z
    .string()
    .default(String(fallback))
    .pipe(z.string().regex(/^\d+$/, `must be a whole number of seconds from ${min} to ${max}`))
    .transform(Number)
    .pipe(z.number().min(min, `must be at least ${min}`).max(max, `must be at most ${max}`));

const whole = (fallback: number, min: number, max: number) =>
  z
    .string()
    .default(String(fallback))
    .pipe(z.string().regex(/^\d+$/, `must be a whole number from ${min} to ${max}`))
    .transform(Number)
    .pipe(z.number().min(min, `must be at least ${min}`).max(max, `must be at most ${max}`));

const oneOf = <const T extends readonly [string, ...string[]]>(words: T, fallback: T[number]) =>
  z
    .string()
    .default(fallback)
    .pipe(z.enum(words, `must be one of ${words.join(', ')}`));

const MIN_ID = 500;
const MAX_ID = 4_294_967_293;

const id = (fallback: number) =>
  whole(fallback, 0, MAX_ID).refine(
    (value) => value >= MIN_ID,
    `must be ${MIN_ID} or more: libnss-extrausers, which holds the accounts, ignores smaller ids`,
  );

/** Seconds; Infinity for `never`. */
const duration = (fallback: string) =>
  z
    .string()
    .default(fallback)
    .transform((text, context) => {
      const read = readDuration(text);
      if (typeof read === 'number') return read;
      context.addIssue({ code: 'custom', message: read });
      return z.NEVER;
    });

/** Seconds; Infinity for `forever`; 'no'. */
const snapshotKeep = (fallback: string) =>
  z
    .string()
    .default(fallback)
    .transform((text, context) => {
      const read = readSnapshotKeep(text);
      if (typeof read !== 'object') return read;
      context.addIssue({ code: 'custom', message: read.problem });
      return z.NEVER;
    });

/** What a session needs with the largest objects that borg knows (20 MB) and a small index: measured, 122 MB. */
const LEAST_SESSION_MEMORY = 128e6;

/** What `read` makes of the text, or 'auto', which is the default. @param form what else it may be, as the end of a sentence */
const orAuto = (form: string, read: (text: string) => number | null) =>
  z
    .string()
    .default('auto')
    .transform((text, context): number | 'auto' => {
      const value = text === 'auto' ? text : read(text);
      if (value !== null) return value;
      context.addIssue({ code: 'custom', message: `must be auto, or ${form}` });
      return z.NEVER;
    });

/** Bytes, at least so many. */
const size = (least: number) => (text: string) => {
  const bytes = readQuota(text);
  return typeof bytes === 'number' && bytes >= least ? bytes : null;
};

/** Bytes, or 'auto'. */
const sessionMemory = orAuto('a size of at least 128M, for example 512M or 2G', size(LEAST_SESSION_MEMORY));

/** Bytes, or 'auto'. */
const minFree = orAuto('a size of at least 10M, for example 5G', size(0));

/** Connections, or 'auto'. */
const maxStartups = orAuto('a whole number from 1 to 100000', (text) => {
  const count = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  return count >= 1 && count <= 100_000 ? count : null;
});

/** Null where it is not set. */
const publicHost = z
  .string()
  .default('')
  .transform((text, context) => {
    if (text === '') return null;
    const read = readPublicHost(text);
    if ('host' in read) return read.host;
    context.addIssue({ code: 'custom', message: read.problem });
    return z.NEVER;
  });

/** Null where it is not set. */
const publicPort = z
  .string()
  .default('')
  .transform((text, context) => {
    const port = readPort(text);
    if (text === '' || port !== null) return port;
    context.addIssue({ code: 'custom', message: 'must be a port, from 1 to 65535' });
    return z.NEVER;
  });

const range = z
  .string()
  .default('10000-59999')
  .transform((text, context) => {
    const match = /^(\d+)-(\d+)$/.exec(text);
    const first = Number(match?.[1]);
    const last = Number(match?.[2]);
    if (!match || first < MIN_ID || last < first || last > MAX_ID) {
      context.addIssue({ code: 'custom', message: `must be FIRST-LAST with ${MIN_ID} <= FIRST <= LAST` });
      return z.NEVER;
    }
    return { first, last };
  });

/** The environment's names and forms. A test holds the table of docs/settings.md to it. */
const environment = z.object({
  PUID: id(1000),
  PGID: id(1000),
  BORG_SSHKEYS: z.string().default(''),
  REPO_SERVE_EXTRA_ARGS: z.string().default(''),
  APPENDONLY_SERVE_EXTRA_ARGS: z.string().default(''),
  ADMIN_SERVE_EXTRA_ARGS: z.string().default(''),
  STOP_ON: oneOf(['conflicts', 'errors', 'nothing'], 'conflicts'),
  WATCH: oneOf(['events', 'polling'], 'events'),
  RESYNC_SECONDS: seconds(300, 1, 86_400),
  UID_RANGE: range,
  IDENTITIES: oneOf(IDENTITIES, 'own'),
  BOX: oneOf(['auto', 'required'], 'auto'),
  SESSION_HOST: oneOf(['yes', 'no'], 'yes'),
  SSH_PORT: whole(22, 1, 65_535),
  PUBLIC_HOST: publicHost,
  PUBLIC_PORT: publicPort,
  SSH_LOG_LEVEL: oneOf(['QUIET', 'FATAL', 'ERROR', 'INFO', 'VERBOSE', 'DEBUG', 'DEBUG1', 'DEBUG2', 'DEBUG3'], 'INFO'),
  CLIENT_ALIVE_INTERVAL: seconds(10, 0, 86_400),
  CLIENT_ALIVE_COUNT_MAX: whole(30, 0, 10_000),
  LOGIN_GRACE_TIME: seconds(120, 1, 3_600),
  MAX_STARTUPS: maxStartups,
  PER_SOURCE_PENALTIES: oneOf(['unauthenticated', 'default', 'none'], 'unauthenticated'),
  SESSION_MEMORY: sessionMemory,
  SESSIONS_PER_ACCOUNT: whole(50, 1, 100_000),
  REPOSITORIES_PER_ACCOUNT: whole(1000, 1, 1_000_000),
  MIN_FREE: minFree,
  SNAPSHOT_EVERY: duration('1h'),
  SNAPSHOT_KEEP: snapshotKeep('14d'),
  STOP_GRACE_SECONDS: seconds(20, 0, 86_400),
  STALE_AFTER: duration('26h'),
  STUCK_AFTER: duration('30min'),
  LOG_FORMAT: oneOf(['text', 'json'], 'text'),
  LOG_LEVEL: oneOf(['debug', 'info', 'warn', 'error'], 'info'),
});

export type Settings = Readonly<z.infer<typeof environment>>;

/** The names of all settings, for documentation and its test. */
export const SETTING_NAMES: readonly string[] = Object.keys(environment.shape);

/** What the environment says, or every problem in it, each naming its variable. */
export type ReadSettings =
  | { readonly ok: true; readonly settings: Settings }
  | { readonly ok: false; readonly problems: readonly string[] };

/** Reads the settings from environment variables. An empty variable counts as unset, as compose files leave them. */
export const readSettings = (env: Readonly<Record<string, string | undefined>>): ReadSettings => {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''));
  const parsed = environment.safeParse(given);
  const ids = parsed.success ? parsed : idsAlone.safeParse(given);
  const quoted = new Set([...PLAIN_NAMES, 'TZ'].filter((name) => QUOTED.test(given[name] ?? '')));
  const issues = (parsed.error?.issues ?? []).filter(({ path: [name] }) => !quoted.has(String(name)));
  const problems = [
    ...[...quoted].map((name) => `${name}: stands in quotes, which are a part of the value here; ${NO_QUOTES}`),
    ...issues.map((issue) => `${String(issue.path[0])}: ${issue.message}`),
    ...(ids.success ? crossChecks(ids.data) : []),
    ...(quoted.has('TZ') ? [] : timeZoneProblems(given.TZ)),
  ];
  return parsed.success && problems.length === 0 ? { ok: true, settings: parsed.data } : { ok: false, problems };
};

/** For a caller that cannot go on with such settings. */
export const wrongSettings = (problems: readonly string[]): Error =>
  failure('the settings are wrong', { code: 'bad-settings', problems });

/** The settings, for a caller that cannot go on without them. @throws failure 'bad-settings' with all problems */
export const requireSettings = (env: Readonly<Record<string, string | undefined>>): Settings => {
  const read = readSettings(env);
  if (!read.ok) throw wrongSettings(read.problems);
  return read.settings;
};

/** A file for `docker run --env-file` is no file of a shell: everything behind the `=` is the value. */
const QUOTED = /^(["']).*\1$/s;
const NO_QUOTES = 'write it without them (docker run --env-file takes none away)';
/** In the settings that are left out here, quotes may be meant, or a finding tells of them. */
const PLAIN_NAMES = SETTING_NAMES.filter((name) => name !== 'BORG_SSHKEYS' && !name.endsWith('_SERVE_EXTRA_ARGS'));

/** These are checked together. What is wrong with them is told even where something else is wrong. */
const idsAlone = environment.pick({ PUID: true, PGID: true, UID_RANGE: true });

/**
 * An admin's id inside the tenants' range would make a tenant the admin's equal; an admin whose primary group is a role's
 * would get that role's block in sshd's configuration.
 */
const crossChecks = (settings: z.infer<typeof idsAlone>): string[] => {
  const { first, last } = settings.UID_RANGE;
  const inRange = (['PUID', 'PGID'] as const)
    .filter((name) => settings[name] >= first && settings[name] <= last)
    .map(
      (name) =>
        `${name}: ${settings[name]} lies in UID_RANGE (${first}-${last}), which belongs to the repositories' accounts; move one of them`,
    );
  const role = LOGIN_GROUPS.find(({ gid }) => gid === settings.PGID);
  return role ? [...inRange, `PGID: ${role.gid} is the group ${role.name}, which says what a login may do`] : inRange;
};

/**
 * TZ is the system's own variable. The daemon, which ends sessions at expiry-time, and sshd, which refuses logins after it, must mean the same
 * time. With a zone that only one of them understands (`CET-1CEST`) they would be an hour or more apart.
 */
const timeZoneProblems = (zone: string | undefined): string[] => {
  if (zone === undefined) return [];
  try {
    if (!/^[A-Za-z][A-Za-z0-9_+-]*(\/[A-Za-z0-9_+-]+)*$/.test(zone)) throw new RangeError();
    new Intl.DateTimeFormat('en', { timeZone: zone });
    return [];
  } catch {
    return ['TZ: must be the name of a time zone, such as Europe/Berlin or UTC'];
  }
};
