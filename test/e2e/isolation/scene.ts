import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type Client, createClient } from '../harness/client.ts';
import { writeKeyFile } from '../harness/key-files.ts';
import { BASE_ENVIRONMENT } from '../harness/machine.ts';
import { type Finished, type ProgramOptions, type Running, run } from '../harness/program.ts';
import { open, requests, type Value } from '../harness/raw-borg.ts';
import { contents } from '../harness/repository-files.ts';
import { type Server, startServer } from '../harness/server.ts';
import { updated } from '../harness/updated.ts';
import { type Attempt, COLUMNS, type Column } from './cells.ts';
import { type PlainSshd, startPlainSshd } from './plain-sshd.ts';

type Control = NonNullable<Attempt['control']>;

/** Who makes an attempt: one of the columns, or somebody for whom the attempt has to succeed. */
export type Actor = {
  readonly column: Column | 'control';
  /** Where the actor's client connects to. */
  readonly port: number;
  readonly client: Client;
  /** The login name. Somebody without a key tries the victim's name. */
  readonly account: string;
  /** The actor's own repository and somebody else's, the victim, by their paths on the server. Each actor has its own victim. */
  readonly own: string;
  readonly victim: string;
  /** The same as real folders. `home` is the account's HOME. */
  readonly ownFolder: string;
  readonly victimFolder: string;
  readonly home: string;
  /** The client and the account to whom the victim belongs. */
  readonly owner: { readonly client: Client; readonly account: string };
};

/** Where the attempts are made: a server with an actor for each column, and a plain sshd beside it. */
export type Scene = {
  readonly server: Server;
  readonly plain: PlainSshd;
  /** A server with the same accounts and IDENTITIES=shared, and the client of all victims there. */
  readonly shared: { readonly server: Server; readonly client: Client };
  readonly actors: Readonly<Record<Column, Actor>>;
  /** For whom an attempt must succeed. */
  readonly controls: Readonly<Record<Control, Actor>>;
  /** Restores the actor's own repository and its victim to what they were at first. */
  restore(actor: Actor): Promise<void>;
  cleanup(): Promise<void>;
};

/** Every repository of the scene contains this text, uncompressed and not encrypted. An actor who can read it has got through. */
export const SECRET = 'what only its owner knows';
/** borg names a chunk by its SHA-256 where nothing is encrypted. */
export const SECRET_ID = Buffer.from(await sha256(SECRET));

export const ACCOUNTS = {
  'append-only': { keyFile: 'repos-appendonly/vault', account: 'vault', own: 'vault', directives: ['quota=10M'] },
  repo: { keyFile: 'repos/web', account: 'web', own: 'web', directives: ['quota=10M'] },
  'sub-repositories': {
    ...{ keyFile: 'repos/fleet', account: 'fleet', own: 'fleet/one' },
    directives: ['sub-repositories=yes', 'quota=10M'],
  },
  admin: { keyFile: 'admins/ops', account: 'ops', own: 'shared', directives: [] },
} as const;

/** The victims have names of one length, so that answers about them are as long as those about NOWHERE. */
const VICTIMS: Readonly<Record<Column, string>> = {
  'append-only': 'neighbour-a',
  repo: 'neighbour-b',
  'sub-repositories': 'neighbour-c',
  admin: 'neighbour-d',
  'no key': 'neighbour-e',
};
export const NOWHERE = 'nonexistent';

/** How many sessions an account may have at once here. */
export const SESSIONS = 3;
/** How many repositories an account with several may have here. */
export const REPOSITORIES = 10;

/** Starts both servers, with every repository in place. */
export const setScene = async (): Promise<Scene> => {
  const folder = await mkdtemp(join(tmpdir(), 'isolation-'));
  const templates = { own: join(folder, 'own'), victim: join(folder, 'victim') };
  for (const template of Object.values(templates)) await makeRepository(template);
  const plain = await startPlainSshd();
  const copies = (repos: string): readonly (readonly [string, string])[] => [
    ...[...Object.values(ACCOUNTS).map(({ own }) => own)].map((name) => [templates.own, join(repos, name)] as const),
    ...Object.values(VICTIMS).map((name) => [templates.victim, join(repos, name)] as const),
  ];
  const server = await startServer({
    env: {
      // These are small, so that a session soon reaches its limits.
      ...{ SESSION_MEMORY: '128M', SESSIONS_PER_ACCOUNT: String(SESSIONS) },
      REPOSITORIES_PER_ACCOUNT: String(REPOSITORIES),
      // Strangers and tenants come from one address here. None may be refused for what another one did.
      PER_SOURCE_PENALTIES: 'none',
    },
    prepare: async ({ sshkeys, repos }) => {
      for (const part of ['repos', 'repos-appendonly', 'admins', 'host']) await mkdir(join(sshkeys, part));
      for (const [from, to] of copies(repos)) await copy(from, to);
    },
  });
  await copy(templates.own, join(plain.folder, 'repos/own'));
  await copy(templates.victim, join(plain.folder, 'repos/victim'));
  const shared = await startShared(copies);
  const owner = await createClient(server);
  const made: Client[] = [owner, shared.client];

  const actorOf = async (column: Column): Promise<Actor> => {
    const client = await createClient(server);
    made.push(client);
    const victim = VICTIMS[column];
    const declared = column === 'no key' ? undefined : ACCOUNTS[column];
    const own = declared?.own ?? victim;
    if (declared !== undefined) {
      const lines = [...declared.directives.map((directive) => `# borgserver: ${directive}`), client.key.public];
      await writeFile(join(server.sshkeys, declared.keyFile), `${lines.join('\n')}\n`);
    }
    await writeFile(join(server.sshkeys, 'repos', victim), `${owner.key.public}\n`);
    return {
      ...{ column, port: server.port, client, account: declared?.account ?? victim },
      ...{ own: `/repos/${own}`, ownFolder: join(server.repos, own) },
      home: column === 'admin' ? server.repos : join(server.repos, declared?.account ?? victim),
      ...{
        victim: `/repos/${victim}`,
        victimFolder: join(server.repos, victim),
        owner: { client: owner, account: victim },
      },
    };
  };
  const control = async (): Promise<Actor> => {
    const client = await createClient(plain);
    made.push(client);
    await plain.allow(client.key.public);
    const [own, victim] = [join(plain.folder, 'repos/own'), join(plain.folder, 'repos/victim')];
    return {
      ...{ column: 'control', port: plain.port, client, account: 'root', home: plain.folder },
      ...{ own, ownFolder: own, victim, victimFolder: victim, owner: { client, account: 'root' } },
    };
  };
  const [appendOnly, repo, sub, admin, noKey] = await Promise.all(COLUMNS.map(actorOf));
  if (!appendOnly || !repo || !sub || !admin || !noKey) throw new Error('a column without an actor');
  const actors = { 'append-only': appendOnly, repo, 'sub-repositories': sub, admin, 'no key': noKey };
  const itself = { ...repo, column: 'control', client: owner, account: VICTIMS.repo } as const;
  const controls = {
    'plain sshd': await control(),
    'its owner': itself,
    root: { ...itself, account: 'root' },
    'no box': itself,
  };
  await updated(server);
  // The admin's repository is the admin's own.
  await server.exec(['chown', '-R', '1000:1000', '/repos/shared']);

  const owners = new Map<string, Owner>();
  for (const { ownFolder, victimFolder } of [...Object.values(actors), ...Object.values(controls)]) {
    for (const each of [ownFolder, victimFolder]) owners.set(each, await stat(each));
  }
  const ownerOf = (each: string): Owner => owners.get(each) ?? { uid: 0, gid: 0 };

  return {
    ...{ server, plain, shared, actors },
    controls,
    restore: async (actor) => {
      await refill(templates.own, actor.ownFolder, ownerOf(actor.ownFolder));
      await refill(templates.victim, actor.victimFolder, ownerOf(actor.victimFolder));
    },
    cleanup: async () => {
      for (const client of made) await client.cleanup();
      await plain.stop();
      await server.cleanup();
      await shared.server.cleanup();
      await rm(folder, { recursive: true, force: true });
    },
  };
};

/** @param copies from where to where each repository is copied, below /repos */
const startShared = async (
  copies: (repos: string) => readonly (readonly [string, string])[],
): Promise<Scene['shared']> => {
  const server = await startServer({
    env: { IDENTITIES: 'shared' },
    prepare: async ({ repos }) => {
      for (const [from, to] of copies(repos)) await copy(from, to);
    },
  });
  const client = await createClient(server);
  const files = [
    ...Object.values(ACCOUNTS).map(({ keyFile }) => keyFile),
    ...Object.values(VICTIMS).map((name) => `repos/${name}`),
  ];
  for (const file of files) await writeKeyFile(server, file, client.key);
  await writeFile(join(server.sshkeys, 'repos/fleet'), `# borgserver: sub-repositories=yes\n${client.key.public}\n`);
  await updated(server);
  // Here, too, the admin's repository is the admin's own.
  await server.exec(['chown', '-R', '1000:1000', '/repos/shared']);
  return { server, client };
};

/** A session that sends these calls and ends. `words` may be any command. Its output is borg's answers; the text in them can be read. */
export const speak = (
  { client, account }: Pick<Actor, 'client' | 'account'>,
  calls: readonly (readonly [method: string, args: Value])[],
  words: readonly string[] = ['borg', 'serve'],
): Promise<Finished> => client.ssh(account, words, { input: requests(...calls), reject: false });

/** ssh with flags that count before the harness' own: the first value of an option counts. */
export const sshWith = (
  { client, account, port }: Actor,
  flags: readonly string[],
  words: readonly string[],
  options: ProgramOptions = {},
): Running =>
  run(
    'ssh',
    [...flags, ...client.sshFlags(), '-p', String(port), `${account}@127.0.0.1`, ...words],
    { ...BASE_ENVIRONMENT, HOME: client.home },
    { ...options, reject: false },
  );

/** The call that reads the secret of the repository that is open. */
export const GET_SECRET = ['get', { id: SECRET_ID }] as const;
/** The calls that write this text into a repository. */
export const plant = (path: string, text: string, more: { readonly [name: string]: Value } = { exclusive: true }) =>
  [open(path, more), ['put', { id: text.padEnd(32, '.').slice(0, 32), data: text }], COMMIT] as const;
export const COMMIT = ['commit', { save_space: false, compact: false, threshold: 0 }] as const;

/** Whether some file of the folder has this text in it. */
export const holds = async (folder: string, text: string): Promise<boolean> => {
  for (const path of (await contents(folder).catch(() => new Map<string, string>())).keys()) {
    if ((await readFile(join(folder, path))).includes(text)) return true;
  }
  return false;
};

async function sha256(text: string): Promise<ArrayBuffer> {
  return crypto.subtle.digest('SHA-256', Buffer.from(text));
}

const makeRepository = async (folder: string): Promise<void> => {
  const env = {
    ...BASE_ENVIRONMENT,
    BORG_BASE_DIR: dirname(folder),
    BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes',
  };
  await run('borg', ['init', '--encryption', 'none', folder], env);
  await run('borg', ['create', '--compression', 'none', `${folder}::private`, '-'], env, { input: SECRET });
};

const copy = async (from: string, to: string): Promise<void> => {
  await mkdir(dirname(to), { recursive: true });
  await cp(from, to, { recursive: true });
};

type Owner = { readonly uid: number; readonly gid: number };

/** Replaces what is in the folder by the template's files. They get the folder's owner. */
const refill = async (template: string, folder: string, { uid, gid }: Owner): Promise<void> => {
  await mkdir(folder, { recursive: true });
  for (const name of await readdir(folder)) await rm(join(folder, name), { recursive: true });
  await cp(template, folder, { recursive: true });
  await run('chown', ['-R', `${uid}:${gid}`, folder], BASE_ENVIRONMENT);
  await run('chmod', ['-R', 'u=rwX,g=rwX,o=', folder], BASE_ENVIRONMENT);
};
