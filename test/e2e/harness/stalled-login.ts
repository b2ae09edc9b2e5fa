import { access, chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client, Key } from './client.ts';
import { BASE_ENVIRONMENT, until } from './machine.ts';
import { run } from './program.ts';
import type { Server } from './server.ts';
import { type OpenConnection, watched } from './sessions.ts';

export type StalledLogin = OpenConnection & {
  /** Lets the client sign, so that the login goes on to its end. */
  goOn(): Promise<void>;
};

let count = 0;

/**
 * Begins `ssh -N` (or with other flags and words) and resolves while the client still owes its signature. By then the server has accepted the
 * key, and knows the account and its role. The key gets a passphrase, and the program that is asked for it takes time.
 */
export const stallLogin = async (
  server: Server,
  client: Client,
  account: string,
  key: Key,
  { flags = ['-N'], words = [] }: { readonly flags?: readonly string[]; readonly words?: readonly string[] } = {},
): Promise<StalledLogin> => {
  count += 1;
  const [asked, released, askpass] = ['asked', 'released', 'askpass'].map((name) =>
    join(client.home, `${name}${count}`),
  ) as [string, string, string];
  await writeFile(
    askpass,
    `#!/bin/sh\ntouch ${asked}\nuntil [ -e ${released} ]; do sleep 0.05; done\necho passphrase\n`,
  );
  await chmod(askpass, 0o700);
  await run('ssh-keygen', ['-q', '-p', '-P', '', '-N', 'passphrase', '-f', key.private], BASE_ENVIRONMENT).catch(
    // For a second login with this key, the key has its passphrase already.
    () => {},
  );
  const asking = client.sshFlags(key).map((flag) => (flag === 'BatchMode=yes' ? 'BatchMode=no' : flag));
  const ssh = run(
    'ssh',
    [...asking, '-p', String(server.port), ...flags, `${account}@127.0.0.1`, ...words],
    { ...BASE_ENVIRONMENT, HOME: client.home, SSH_ASKPASS: askpass, SSH_ASKPASS_REQUIRE: 'force', DISPLAY: ':0' },
    { reject: false, ...(words.length > 0 && { input: 'pipe' as const }) },
  );
  const there = (file: string) =>
    access(file).then(
      () => true,
      () => false,
    );
  await Promise.race([
    until('the client to be asked for its passphrase', () => there(asked)),
    ssh.then((how) => {
      throw new Error(`the login ended early: ${how.stderr}`, { cause: how });
    }),
  ]);
  return { ...watched(ssh, key), goOn: () => writeFile(released, '') };
};
