import { randomBytes } from 'node:crypto';
import { readdir, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { open } from '../harness/raw-borg.ts';
import { breakLockOf, closedAtOnce, saveKey, type Try } from './other-repositories.ts';
import { COMMIT, holds, plant, SECRET, SECRET_ID, speak } from './scene.ts';
import { agree, judge, ofOwn } from './verdict.ts';

const ENV = { BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes', BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes' };

export const backUp: Try = async (actor) => {
  const { client, account, port, own, column } = actor;
  const archive = `ssh://${account}@127.0.0.1:${port}${own}::now`;
  const said = `backed up by ${column}`;
  const created = await client.borg(['create', archive, '-'], { env: ENV, input: said, reject: false });
  if (column === 'no key') return judge(created.exitCode === 0, created.stderr, closedAtOnce(actor));
  const { stdout } = await client.borg(['extract', '--stdout', archive], { env: ENV, reject: false });
  return ofOwn(judge(stdout === said, created.stderr), column);
};

/** Does as a borg 1.1 client, which compacts at every commit. append-only.test.ts shows the same for borg's own delete and compact. */
export const deleteForGood: Try = async (actor, { restore }) => {
  const { own, ownFolder, column } = actor;
  const { stdout, stderr } = await speak(actor, [
    open(own, { exclusive: true }),
    ['delete', { id: SECRET_ID }],
    ['commit', { compact: true, threshold: 0, save_space: false }],
  ]);
  const gone = !(await holds(ownFolder, SECRET));
  if (gone || /Permission denied/.test(stderr)) {
    const verdict = judge(gone, stderr);
    if (gone) await restore(actor);
    return ofOwn(verdict, column);
  }
  if (stdout.includes('exception_class')) throw new Error(`delete was refused: ${stdout}`);
  const again = await speak(actor, [open(own, { lock: false }), ['get', { id: SECRET_ID }]]);
  if (!/ObjectNotFound/.test(again.stdout)) throw new Error(`the object is not gone: ${again.stdout}`);
  await restore(actor);
  return 'kept';
};

export const destroyOwn: Try = async (actor, { restore }) => {
  const { own, ownFolder, column } = actor;
  let said = '';
  // Creating what exists is refused, and must not leave a session behind that may do more than before.
  const [plainly, anew] = [open(own, { exclusive: true }), open(own, { exclusive: true, create: true })];
  for (const opens of [[anew], [anew, plainly], [plainly]]) {
    const { stdout, stderr } = await speak(actor, [...opens, ['destroy', {}]]);
    said += stdout + stderr;
    if (!(await holds(ownFolder, SECRET))) break;
  }
  const verdict = judge(!(await holds(ownFolder, SECRET)), said, /append-only mode/);
  if (verdict === 'allowed') await restore(actor);
  return ofOwn(verdict, column);
};

export const breakOwnLock: Try = async (actor) => {
  const refusal = /an append-only account cannot break it/;
  const holder = actor.column === 'no key' ? actor.owner : actor;
  return ofOwn(await breakLockOf(actor, holder, actor.own, actor.ownFolder, refusal), actor.column);
};

export const overwriteOwnKey: Try = async (actor) => {
  const { own, ownFolder, column } = actor;
  const verdicts = {
    first: await saveKey(actor, own, ownFolder),
    second: await saveKey(actor, own, ownFolder, 'OTHER KEY'),
  };
  const verdict = ofOwn(agree(verdicts), column);
  return (await holds(join(ownFolder, 'former-keys'), `KEY OF ${column}`)) ? 'kept' : verdict;
};

export const writeUnlocked: Try = async (actor) => {
  const text = `unlocked, by ${actor.column}`;
  const { stdout, stderr } = await speak(actor, plant(actor.own, text, { lock: false }));
  return judge(await holds(actor.ownFolder, text), `${stdout}${stderr}`, /only with its lock/);
};

const QUOTA = 10_000_000;
/** Bytes that a client writes at once. borg still writes the piece that is too much, and none after it. The next session removes that piece. */
const PIECE = 1_000_000;
const OVERHEAD = 100_000;

/** Bytes of the repository's segments. */
const sizeOf = async (folder: string): Promise<number> => {
  const names = await readdir(join(folder, 'data'), { recursive: true });
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(folder, 'data', name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
};

export const exceedQuota: Try = async (actor, { restore }) => {
  const { own, ownFolder, column, home } = actor;
  const fill = (path: string, megabytes: number) => {
    const puts = Array.from(
      { length: megabytes },
      () => ['put', { id: randomBytes(32), data: randomBytes(PIECE) }] as const,
    );
    return speak(actor, [open(path, { exclusive: true, create: path !== own }), ...puts, COMMIT]);
  };
  let said = '';
  // The next session removes what was too much, so that it does not add up.
  for (const pieces of [12, ...(column === 'repo' ? [12] : [])]) {
    const { stdout, stderr } = await fill(own, pieces);
    said += stdout + stderr;
  }
  const inOne = judge((await sizeOf(ownFolder)) > QUOTA + PIECE + OVERHEAD, said, /StorageQuotaExceeded/);
  await restore(actor);
  if (column !== 'sub-repositories' || inOne === 'allowed') return inOne;
  const folders = ['two', 'three'].map((name) => join(home, name));
  for (const folder of folders) await fill(`/repos/${actor.account}/${basename(folder)}`, 8);
  const sizes = await Promise.all(folders.map(sizeOf));
  for (const folder of folders) await rm(folder, { recursive: true });
  return judge(sizes.reduce((sum, size) => sum + size, 0) > QUOTA + PIECE + OVERHEAD, said);
};
