import { lstatSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { failureInOneLine } from '../failure.ts';
import { printable } from '../text/printable.ts';
import { type Diagnosis, error, ok, warning } from './diagnosis.ts';

/**
 * The host keys that the server keeps, and whether anybody else can read them.
 *
 * @param folder where they are
 * @param now milliseconds since the epoch
 */
export const diagnoseHostKeys = async (folder: string, now: number): Promise<readonly Diagnosis[]> => [
  ...(await diagnosePublicHalves(folder, now)),
  ...diagnoseOpenHostKeys(folder),
];

const diagnosePublicHalves = async (folder: string, now: number): Promise<readonly Diagnosis[]> => {
  const missing = (why: string): Diagnosis[] => [
    error('host keys', why, `let the server write to ${folder} once, or put the old host keys back`),
  ];
  try {
    const names = readdirSync(folder).filter((name) => /^ssh_host_[a-z0-9]+_key\.pub$/.test(name));
    if (names.length === 0) return missing(`there is none in ${folder}`);
    return await Promise.all(
      names.map(async (name) => {
        const { stdout } = await execa('ssh-keygen', ['-lf', join(folder, name)], { stdin: 'ignore' });
        const [bits = '', fingerprint = ''] = stdout.split(' ');
        const days = Math.floor((now - lstatSync(join(folder, name)).mtimeMs) / 86_400_000);
        const shown = `${name.slice('ssh_host_'.length, -'_key.pub'.length)} ${fingerprint}, ${days} days old`;
        return name.includes('_rsa_') && Number(bits) < 3072
          ? warning(
              'host keys',
              `${shown}, only ${bits} bits`,
              'replace it when it suits the clients; the ed25519 key stays',
            )
          : ok('host keys', shown);
      }),
    );
  } catch (failure) {
    return missing(printable(failureInOneLine(failure)));
  }
};

/** Nobody has more host keys than this. The folder is the operator's, and other files in it are no host keys. */
const MOST = 100;

/**
 * A warning for each private host key, also a copy under another name, that somebody other than its owner can read: whoever has
 * it can pretend to be the server. sshd reads its own copies with their own modes, so nothing else would ever report it.
 *
 * @param folder where the host keys are kept; one that is not there, or that only its owner may enter, gives no warning
 */
export const diagnoseOpenHostKeys = (folder: string): readonly Diagnosis[] => {
  try {
    // A user who may not enter the folder cannot read what is in it (path_resolution(7)).
    if ((statSync(folder).mode & 0o011) === 0) return [];
    return readdirSync(folder)
      .filter((name) => name.startsWith('ssh_host_') && !name.endsWith('.pub'))
      .slice(0, MOST)
      .flatMap((name) => openKey(join(folder, name)));
  } catch {
    // What is wrong with the folder itself is reported where the keys are looked at.
    return [];
  }
};

const openKey = (file: string): readonly Diagnosis[] => {
  // Behind a link, as in a Secret of Kubernetes, it is the same key. A link that leads nowhere is no key.
  const found = statSync(file, { throwIfNoEntry: false });
  if (!found?.isFile() || (found.mode & 0o044) === 0) return [];
  const { mode } = found;
  const shown = printable(file);
  return [
    warning(
      'host keys',
      `${shown} is private, and others on this machine can read it (mode ${(mode & 0o777).toString(8)}): whoever has it can pretend to be this server`,
      `chmod 600 ${shown}; a file system that keeps no modes (CIFS, exFAT) wants it in its mount options. Was somebody else there already? Then make a new one`,
    ),
  ];
};
