import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';

/**
 * The public halves of the running sshd's host keys, each as type and base64 without a comment; ed25519 first.
 *
 * They are derived from the private copies below `run`, which only root can change. Somebody may have changed a .pub in the
 * operator's folder since, and clients will trust what is returned here.
 *
 * @throws Error of ssh-keygen, or of the system if no server has started yet
 */
export const servedHostKeys = async (run: string): Promise<readonly string[]> => {
  const folder = join(run, 'host_keys');
  const files = readdirSync(folder).filter((name) => /^ssh_host_[a-z0-9]+_key$/.test(name));
  const lines = await Promise.all(
    files.map(async (name) => {
      const { stdout } = await execa('ssh-keygen', ['-y', '-P', '', '-f', join(folder, name)], { stdin: 'ignore' });
      return stdout.trim().split(/\s+/).slice(0, 2).join(' ');
    }),
  );
  return lines.sort((a, b) => Number(b.startsWith('ssh-ed25519')) - Number(a.startsWith('ssh-ed25519')));
};
