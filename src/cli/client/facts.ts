import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AccountName } from '../../accounts/name.ts';
import { knownPort, readPort, readPublicHost } from '../../accounts/public-address.ts';
import { nearNames } from '../../borg/near-names.ts';
import { askServer } from '../../control/client.ts';
import { type FailureCode, failure } from '../../failure.ts';
import { type DatabaseEntry, parseDatabase } from '../../host/account-database.ts';
import type { Places } from '../../places.ts';
import { requireSettings } from '../../settings.ts';
import { servedHostKeys } from '../../sshd/served-host-keys.ts';
import { printable } from '../../text/printable.ts';
import type { ClientFacts } from './connection.ts';

/** What the person asked for, unchecked. */
export type ClientRequest = {
  readonly host?: string;
  readonly port?: string;
  readonly identity?: string;
  readonly repository?: string;
};

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Gathers what a client of the account has to know, from the running server: its accounts, and the host keys that sshd has.
 *
 * @throws Error with cause `{ code: 'no-server' | 'no-account' | 'bad-address' | 'bad-identity' | 'bad-repository', remedy }`
 */
export const gatherFacts = async (
  places: Places,
  name: string,
  request: ClientRequest,
  env: Environment,
): Promise<ClientFacts> => {
  const settings = requireSettings(env);
  if ((await askServer(places.run, { command: 'ping' })) === null)
    throw refused('no server runs here', 'no-server', 'start it first: it knows the accounts and the host keys');
  const passwd = readFileSync(join(places.extrausers, 'passwd'), 'utf8');
  const entries = parseDatabase(passwd, { pgid: settings.PGID, repos: places.repos });
  const entry = findAccount(name, entries);
  const { name: account, role, subRepositories = false } = entry;
  const appendOnly = role === 'admin' ? appendOnlyNames(entries) : new Map<boolean, AccountName[]>();
  return {
    ...{ account, role, subRepositories },
    repository: repositoryOf(entry, request.repository),
    host: publicHost(request.host, settings.PUBLIC_HOST),
    port: publicPort(request.port, settings.PUBLIC_PORT, env),
    hostKeys: await servedHostKeys(places.run),
    identity: identityOf(request.identity),
    ...{ appendOnly: appendOnly.get(false) ?? [], appendOnlyFolders: appendOnly.get(true) ?? [] },
  };
};

/** By whether they have several repositories. */
const appendOnlyNames = (entries: readonly DatabaseEntry[]): ReadonlyMap<boolean, readonly AccountName[]> => {
  const found = entries.filter(({ role }) => role === 'append-only');
  const several = Map.groupBy(found, ({ subRepositories }) => subRepositories === true);
  return new Map([...several].map(([which, each]) => [which, each.map(({ name }) => name)]));
};

const refused = (message: string, code: FailureCode, remedy: string): Error => failure(message, { code, remedy });

const findAccount = (name: string, entries: readonly DatabaseEntry[]): DatabaseEntry => {
  const found = entries.find((entry) => entry.name === name);
  if (found) return found;
  const near = nearNames(
    name,
    entries.map((entry) => entry.name),
  );
  throw refused(
    `there is no account '${printable(name, 100)}'${near.length > 0 ? ` (near: ${near.join(', ')})` : ''}`,
    'no-account',
    'drop its public key into /sshkeys; update-borgusers says what became of it, and borgserver keys lists the accounts',
  );
};

/** Nothing is printed that is only likely: a wrong address sends the client to a stranger, or nowhere. */
export const publicHost = (given: string | undefined, configured: string | null): string => {
  if (given === undefined) {
    if (configured !== null) return configured;
    throw refused(
      'the server does not know by which name its clients reach it',
      'bad-address',
      'give --host backup.example.org, or set PUBLIC_HOST',
    );
  }
  const read = readPublicHost(given);
  if ('host' in read) return read.host;
  throw refused(`--host ${read.problem}`, 'bad-address', 'for example --host backup.example.org or --host 2001:db8::1');
};

/** The port that clients connect to. It is never guessed: only what somebody has said counts. */
export const publicPort = (given: string | undefined, configured: number | null, env: Environment): number => {
  if (given !== undefined) {
    const port = readPort(given);
    if (port !== null) return port;
    throw refused('--port must be a number from 1 to 65535', 'bad-address', 'for example --port 2222');
  }
  const known = knownPort(configured, env);
  if (known !== null) return known;
  throw refused(
    'the server does not know on which port its clients reach it',
    'bad-address',
    'give --port 2222, or set PUBLIC_PORT',
  );
};

/** Without spaces, quotes and ssh's own tokens (%), the path means the same in every format. */
const identityOf = (given: string | undefined): string | null => {
  if (given === undefined || /^(~\/|\/)[A-Za-z0-9_.@+/-]+$/.test(given)) return given ?? null;
  throw refused(
    `--identity '${printable(given, 100)}' is not a path that fits into every format`,
    'bad-identity',
    'give the path of the private key on the client, from / or ~/, in letters, digits and _ . @ + -',
  );
};

/** An account with sub-repositories cannot have a repository in its folder itself: that would close the folder to the others. */
const repositoryOf = ({ name, role, subRepositories }: DatabaseEntry, given: string | undefined): string | null => {
  if (given === undefined) return role === 'admin' ? null : subRepositories ? `${name}/main` : name;
  const parts = given.split('/');
  if (!parts.every((part) => /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(part)))
    throw refused(
      `--repository '${printable(given, 100)}' is not a name`,
      'bad-repository',
      'give NAME, or NAME/FOLDER where an account has several',
    );
  if (role === 'admin' || given === name || (subRepositories && parts[0] === name && parts.length > 1)) return given;
  throw refused(
    `the account ${name} may not use /repos/${given}`,
    'bad-repository',
    `leave --repository out: its own is /repos/${name}`,
  );
};
