import { access, readdir, rm, symlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { until } from '../harness/machine.ts';
import { open, requests } from '../harness/raw-borg.ts';
import type { Verdict } from './cells.ts';
import { type Actor, GET_SECRET, holds, plant, type Scene, SECRET, speak } from './scene.ts';
import { agree, judge, ofOwn } from './verdict.ts';

/** Makes one attempt as this actor, looks at what came of it, and leaves the repositories of the others as they were. */
export type Try = (actor: Actor, scene: Scene) => Promise<Verdict>;

/** Opens each path in one session, without a lock, and reads the secret there. All must get through, or all be refused. */
const readBy = async (actor: Actor, paths: readonly string[], words?: readonly string[]): Promise<Verdict> => {
  const calls = paths.flatMap((path) => [open(path, { lock: false }), GET_SECRET]);
  const { stdout, stderr } = await speak(actor, calls, words);
  const through = stdout.split(SECRET).length - 1;
  const refused = stdout.match(/exception_class.PathNotAllowed/gs)?.length ?? 0;
  if (through > 0 && through < paths.length) throw new Error(`only ${through} of ${JSON.stringify(paths)} get through`);
  if (through === 0 && refused > 0 && refused < paths.length)
    throw new Error(`only ${refused} of ${paths} are refused`);
  return judge(through > 0, `${stdout}${stderr}`);
};

export const read: Try = async (actor) => {
  const { own, victim } = actor;
  const name = basename(victim);
  const ways = [
    victim,
    `${victim}/`,
    `/${victim}`,
    `${own}/../${own.split('/').length > 3 ? '../' : ''}${name}`,
    `/proc/self/root${victim}`,
  ];
  // The working directory is the account's home. For an admin it is /repos, for a tenant the tenant's folder there.
  const relative =
    actor.column === 'admin' ? [name, `./${name}`, `/./${name}`] : [`../${name}`, `./../${name}`, `/./../${name}`];
  return readBy(actor, [...ways, ...relative, `~${name}`, `/~${name}`, `/~${name}/../${name}`]);
};

/** No tenant can make a link. But an operator may have made one, or an error of borg. */
export const readByLink: Try = async (actor) => {
  const link = join(actor.ownFolder, 'link');
  if (actor.column !== 'no key') await symlink(actor.victim, link);
  try {
    const verdict = await readBy(actor, [`${actor.own}/link`, `${actor.own}/link/.`]);
    const { stdout } = await speak(actor, [open(`${actor.own}/link`)]);
    if (verdict === 'refused' && stdout.includes(actor.victim))
      throw new Error(`the answer tells where the link leads: ${stdout}`);
    return verdict;
  } finally {
    await rm(link, { force: true });
  }
};

const CLIENT_ENV = { BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes', BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes' };

/** Where ssh ends at once, borg does not always pass on its last words. */
export const closedAtOnce = ({ column }: Actor): RegExp | undefined =>
  column === 'no key' ? /Connection closed by remote host/ : undefined;

export const readWithBorg: Try = async (actor) => {
  const { client, victim, account, port } = actor;
  const base = `ssh://${account}@127.0.0.1:${port}`;
  const borg = (...words: string[]) => client.borg(words, { env: CLIENT_ENV, reject: false });
  const list = ['--bypass-lock', 'list', '--short'];
  const verdicts: Record<string, Verdict> = {};
  const extracted = await borg('extract', '--stdout', `${base}${victim}::private`);
  verdicts.extract = judge(extracted.stdout.includes(SECRET), extracted.stderr, closedAtOnce(actor));
  // One tenant and the admin try every form. For the others, with or without a login, one form is enough.
  if (actor.column !== 'repo' && actor.column !== 'admin') return agree(verdicts);
  const byHome = await borg(...list, `${base}/~${basename(victim)}`);
  verdicts['~'] = judge(byHome.stdout === 'private\n', byHome.stderr);
  const env = { ...CLIENT_ENV, BORG_REPO: `${base}${victim}` };
  const { stdout, stderr } = await client.borg([...list, '::'], { env, reject: false });
  verdicts['::'] = judge(stdout === 'private\n', stderr);
  const broken = await borg('break-lock', `${base}${victim}`);
  verdicts['break-lock'] = judge(broken.exitCode === 0, broken.stderr);
  const initialised = await borg('init', '--encryption', 'none', `${base}${victim}`);
  // A repository that is there already is not made anew, not even for an admin.
  verdicts.init = /already exists/.test(initialised.stderr) ? 'allowed' : judge(false, initialised.stderr);
  if (/Traceback/.test(`${extracted.stderr}${broken.stderr}${initialised.stderr}`)) throw new Error('a traceback');
  return agree(verdicts);
};

/** The words that a client can have for `borg serve`; borg appends its own `serve`. */
const REMOTE_PATHS = [
  'borg serve --restrict-to-path / --',
  'USER=neighbour-b borg',
  'env USER=neighbour-b borg',
  'borg serve --umask 0000 --debug-profile /tmp/profile --',
  'borg --session x -- serve --restrict-to-path / ; borg',
  "borg'\nserve --restrict-to-path /\n'",
];

export const widen: Try = async (actor) => {
  const verdicts: Record<string, Verdict> = {};
  const some = [`borg serve --restrict-to-repository ${actor.victim} --`, ...REMOTE_PATHS];
  for (const remote of actor.column === 'repo' ? some : some.slice(0, 2)) {
    verdicts[remote] = await readBy(actor, [actor.victim], [`${remote} serve`]);
  }
  return agree(verdicts);
};

export const write: Try = async (actor) => {
  const text = `planted by ${actor.column}`;
  const { stdout, stderr } = await speak(actor, plant(actor.victim, text));
  return judge(await holds(actor.victimFolder, text), `${stdout}${stderr}`);
};

export const overwriteKey: Try = async (actor) => saveKey(actor, actor.victim, actor.victimFolder);

/** Puts another key into the repository's config. */
export const saveKey = async (actor: Actor, path: string, folder: string, name = 'KEY'): Promise<Verdict> => {
  const keydata = Buffer.from(`${name} OF ${actor.column}`);
  const { stdout, stderr } = await speak(actor, [open(path, { lock: false }), ['save_key', { keydata }]]);
  return judge(await holds(folder, keydata.toString()), `${stdout}${stderr}`);
};

/** Breaks the lock of a session of the holder that still runs. */
export const breakLockOf = async (
  actor: Actor,
  holder: Actor['owner'],
  path: string,
  folder: string,
  refusal?: RegExp,
) => {
  const lock = join(folder, 'lock.exclusive');
  const held = () =>
    access(lock).then(
      () => true,
      () => false,
    );
  const session = holder.client.ssh(holder.account, ['borg serve'], { input: 'pipe', reject: false });
  try {
    session.stdin?.write(requests(open(path, { exclusive: true })));
    await until('the lock to be held', held);
    const { stdout, stderr } = await speak(actor, [open(path, { lock: false }), ['break_lock', {}]]);
    return judge(!(await held()), `${stdout}${stderr}`, refusal);
  } finally {
    session.stdin?.end();
    await session;
  }
};

export const breakLock: Try = (actor) => breakLockOf(actor, actor.owner, actor.victim, actor.victimFolder);

export const destroy: Try = async (actor, { restore }) => {
  const { stdout, stderr } = await speak(actor, [open(actor.victim, { exclusive: true }), ['destroy', {}]]);
  const verdict = judge(!(await holds(actor.victimFolder, SECRET)), `${stdout}${stderr}`);
  if (verdict === 'allowed') await restore(actor);
  return verdict;
};

export const createBeside: Try = async (actor, { server }) => {
  const name = `new-${actor.account}`;
  const [home, homeFolder] =
    actor.column === 'admin' ? ['/repos', server.repos] : [`/repos/${actor.account}`, actor.home];
  const places = {
    beside: [`/repos/${name}`, join(server.repos, name), join(server.repos, name)],
    inside: [`${actor.victim}/${name}`, join(actor.victimFolder, name), join(actor.victimFolder, name)],
    below: [`${home}/below/${name}`, join(homeFolder, 'below', name), join(homeFolder, 'below')],
  } as const;
  let said = '';
  // Each path gets its own session: a session that has opened a repository opens no other.
  for (const [path] of Object.values(places)) {
    const { stdout, stderr } = await speak(actor, [open(path, { create: true, make_parent_dirs: true })]);
    said += `${stdout}${stderr}`;
  }
  const found: Record<string, boolean> = {};
  for (const [place, [, folder, made]] of Object.entries(places)) {
    found[place] = (await readdir(folder).catch((): string[] => [])).includes('config');
    await rm(made, { recursive: true, force: true });
  }
  // borg makes no repository inside another, whoever asks.
  if (found.inside) throw new Error('a repository inside another');
  const verdict = (effect: boolean | undefined) => (effect ? 'allowed' : judge(false, said));
  const [beside, below] = [verdict(found.beside), verdict(found.below)];
  return below === beside ? below : ofOwn(below, actor.column);
};

export const createOutside: Try = async (actor, { server, plain }) => {
  const { column, account, victim } = actor;
  const outside = ['/sshkeys/made', '/tmp/made', '/run/made', '/repos/.borgserver/made', '/etc/made', '/made'];
  const others = ['/repos', '/repos/.borgserver', '/', '..', '~root', '/etc', '/sshkeys', `/repos/${account}/..`];
  const ofTenants = [`/repos/${account}-2`, '/~/made', `/repos/${account}\n/../${basename(victim)}/made`];
  const paths = [...outside, '/proc/self/root/srv/made', ...others, ...(column === 'admin' ? [] : ofTenants)];
  const tried = column === 'control' ? [join(plain.folder, 'made')] : paths;
  const calls = tried.flatMap((path) => [
    open(path, { lock: false }),
    open(path, { create: true, make_parent_dirs: true, lock: false }),
  ]);
  const { stdout, stderr } = await speak(actor, calls);
  const classes = [...stdout.matchAll(/exception_class.([A-Za-z.]+)/gs)].map((match) => match[1] ?? '');
  const wrong = classes.filter((name) => !name.startsWith('PathNotAllowed'));
  if (column !== 'admin' && column !== 'control' && wrong.length > 0) throw new Error(`refused by ${wrong}`);
  const look = `ls -d ${outside.join(' ')} /srv/made /repos/${account}-2`;
  const made = await server.exec(['sh', '-c', look], { reject: false });
  const effect = made.stdout !== '' || (classes.length > 0 && classes.length < calls.length);
  return judge(effect, `${stdout}${stderr}`);
};

export const logInAsOther: Try = async ({ client, victim }) => {
  const { stdout, stderr } = await client.ssh(basename(victim), ['borg', '--version'], { reject: false });
  return judge(stdout.startsWith('borg '), stderr);
};
