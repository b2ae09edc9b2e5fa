import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BASE_ENVIRONMENT, PROJECT } from './machine.ts';
import { run } from './program.ts';

/** This is in the folder for what is built, and outside of what is mounted for a server. */
const MADE = join(PROJECT, 'dist/host-key-of-tests');
const NAME = 'ssh_host_rsa_key';

/** Makes the host key of all servers of the tests, once for this clone. Two processes may do so at the same time. */
export const makeHostKey = async (): Promise<void> => {
  if (existsSync(MADE)) return;
  await mkdir(join(PROJECT, 'dist'), { recursive: true });
  const making = await mkdtemp(`${MADE}-`);
  const words = ['-q', '-t', 'rsa', '-b', '3072', '-N', '', '-C', '', '-f', join(making, NAME)];
  await run('ssh-keygen', words, BASE_ENVIRONMENT);
  await rename(making, MADE).catch(() => rm(making, { recursive: true }));
};

/**
 * Puts the RSA host key where the server would make its own: it costs a second of CPU to make, the other two cost some milliseconds. Does nothing
 * where there is a folder for host keys already.
 */
export const giveHostKey = async (sshkeys: string): Promise<void> => {
  const host = join(sshkeys, 'host');
  if (existsSync(host)) return;
  await mkdir(host, { mode: 0o755 });
  await putHostKey(host);
};

/** Puts the key of `makeHostKey` into this folder for host keys. */
export const putHostKey = async (host: string): Promise<void> => {
  await makeHostKey();
  for (const name of [NAME, `${NAME}.pub`]) await copyFile(join(MADE, name), join(host, name));
};
