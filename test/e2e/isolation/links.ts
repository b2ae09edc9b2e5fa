import { lchown, rm, stat, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { open, type Value } from '../harness/raw-borg.ts';
import { contents } from '../harness/repository-files.ts';
import type { Verdict } from './cells.ts';
import type { Try } from './other-repositories.ts';
import { type Actor, COMMIT, type Scene, speak } from './scene.ts';
import { agree, judge } from './verdict.ts';

type Calls = readonly (readonly [method: string, args: Value])[];

/** A link in the actor's own repository, where it leads in the victim's, and what an admin does that follows the link. */
type Link = readonly [entry: string, to: string, how: { readonly [name: string]: Value }, calls: Calls];

const EXCLUSIVE = { exclusive: true };
const CHECK = ['check', { repair: true, save_space: false }] as const;
const PUT = ['put', { id: 'by an admin'.padEnd(32, '.'), data: 'by an admin' }] as const;
const COMPACT = [COMMIT[0], { ...COMMIT[1], compact: true }] as const;

const LINKS: readonly Link[] = [
  ['config.old', 'config', EXCLUSIVE, [CHECK]],
  ['data/0', 'data/0', EXCLUSIVE, [CHECK, PUT, COMPACT]],
  ['lock.roster', 'config', {}, [['list', {}]]],
  ['data', 'data', EXCLUSIVE, [CHECK, PUT, COMPACT]],
  ['lock.exclusive', 'data/0', { lock: false }, [['break_lock', {}]]],
];

/** test/image/box.test.ts tries all of these links, and more. Here one tenant tries all, the control the first three, and the others fewer. */
const SOME = { repo: LINKS.length, control: 3, 'append-only': 1, 'sub-repositories': 1, admin: 1, 'no key': 0 };

const REFUSED = /PermissionError|Permission denied: |is a link, or not a plain file/;

/**
 * An attacker who has taken over a tenant's borg puts links into the tenant's own folder. Then the attacker waits until an admin, who may
 * open every repository, checks, lists and compacts.
 */
export const links: Try = async (actor, scene) => {
  const verdicts: Record<string, Verdict> = {};
  for (const link of LINKS.slice(0, SOME[actor.column])) {
    await scene.restore(actor);
    await lay(actor, link);
    const before = await contents(actor.victimFolder);
    const said = await follow(actor, scene, link);
    verdicts[link[0]] = judge(!isSame(before, await contents(actor.victimFolder)), said, REFUSED);
  }
  await scene.restore(actor);
  return agree(verdicts);
};

const lay = async ({ ownFolder, victim }: Actor, [entry, to]: Link): Promise<void> => {
  const place = join(ownFolder, entry);
  await rm(place, { recursive: true, force: true });
  await symlink(join(victim, to), place);
  const { uid, gid } = await stat(ownFolder);
  await lchown(place, uid, gid);
};

/** What the admin is told, and what the borg says that the server runs. */
const follow = async (actor: Actor, { actors, server }: Scene, [entry, , how, calls]: Link): Promise<string> => {
  const { own, column } = actor;
  const admin = column === 'control' ? actor : actors.admin;
  if (column !== 'repo' || entry !== 'data/0') {
    const { stdout, stderr } = await speak(admin, [open(own, how), ...calls]);
    return `${stdout}${stderr}`;
  }
  const url = `ssh://${admin.account}@127.0.0.1:${admin.port}${own}`;
  const env = { BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes', BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes' };
  const said: string[] = [];
  for (const words of [['check'], ['list'], ['compact']])
    said.push((await admin.client.borg([...words, url], { env, reject: false })).stderr);
  said.push((await server.exec(['check', '--repository-only', own], { reject: false })).stderr);
  const silent = said.filter((each) => !REFUSED.test(each));
  if (silent.length > 0) throw new Error(`nothing was refused: ${silent.join('; ')}`);
  return said.join('');
};

const isSame = (one: ReadonlyMap<string, string>, other: ReadonlyMap<string, string>): boolean =>
  one.size === other.size && [...one].every(([path, digest]) => other.get(path) === digest);
