import { createHash, randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { until } from '../e2e/harness/machine.ts';
import type { Finished } from '../e2e/harness/program.ts';
import { connected, type OpenConnection, watched } from '../e2e/harness/sessions.ts';
import type { OpenSession } from './model.ts';
import type { Scene } from './scene.ts';

/** A session as a real connection. */
export type Live = {
  readonly connection: OpenConnection;
  /** Sends the rest of a backup and resolves with how borg ended and the SHA-256 of all that was sent. */
  readonly finish: () => Promise<{ readonly how: Finished; readonly digest: string }>;
};

/** Text, so that borg's standard output gives it back unchanged. */
export const someText = (): string => randomBytes(150_000).toString('hex');

export const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex');

/** Pieces are small and of a fixed size, so that something is soon on the server. */
export const SMALL_CHUNKS = ['--chunker-params', 'fixed,65536', '--compression', 'none'];

const BORG_SERVE = { flags: [], words: ['borg', 'serve'] };

/** Opens a session and resolves once the server knows it. A backup resolves once it has the lock; half of its data is written by then. */
export const openLive = async (scene: Scene, session: Omit<OpenSession, 'id'>): Promise<Live> => {
  const { server, client, keys } = scene;
  const key = keys[session.key];
  if (!key) throw new Error(`there is no key ${session.key}`);
  if (session.how !== 'backup') {
    const connection = await connected(server, client, session.account, key, session.how === 'borg' ? BORG_SERVE : {});
    return { connection, finish: () => Promise.reject(new Error('this is no backup')) };
  }
  const url = client.url(session.account, session.path);
  const halves = [someText(), someText()];
  const borg = client.borg(['--lock-wait', '10', 'create', ...SMALL_CHUNKS, `${url}::${session.archive}`, '-'], {
    ...{ key, input: 'pipe', reject: false, env: FAMILIAR },
  });
  const connection = watched(borg, key);
  borg.stdin?.write(halves[0]);
  await until('the backup to have its lock', async () => {
    if (connection.over()) throw new Error(`the backup ended: ${(await borg).stderr}`);
    return (await readdir(join(server.repos, session.path))).includes('lock.exclusive');
  });
  const finish = async () => {
    borg.stdin?.end(halves[1]);
    return { how: await connection.ended(), digest: digestOf(halves.join('')) };
  };
  return { connection, finish };
};

/** The one client's home knows every repository, some by more than one URL. */
export const FAMILIAR = {
  BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes',
  BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes',
  BORG_DELETE_I_KNOW_WHAT_I_AM_DOING: 'YES',
};
