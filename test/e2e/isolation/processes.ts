import type { Server } from '../harness/server.ts';

export type Process = { readonly pid: number; readonly bytes: number; readonly words: string };

/**
 * The processes of an account's Unix user inside the server, with their resident memory. Admins share one user. One program looks at all
 * processes, because a test that waits for a process looks again and again.
 */
export const processesOf = async (server: Server, account: string): Promise<readonly Process[]> => {
  const script = `
    uid=$(id -u "$0") || exit 1
    for status in $(grep -ls "^Uid:[^0-9]*$uid[^0-9]" /proc/[0-9]*/status); do
      folder=\${status%/status}
      echo "\${folder#/proc/} $(sed -n 's/^VmRSS:[^0-9]*\\([0-9]*\\).*/\\1/p' "$status" 2>/dev/null) $(tr '\\0' ' ' <"$folder/cmdline")"
    done 2>/dev/null
  `;
  const { stdout } = await server.look(['sh', '-c', script, account], { reject: false });
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [pid = '', kilobytes = '', ...words] = line.split(' ');
      return { pid: Number(pid), bytes: Number(kilobytes) * 1024, words: words.join(' ') };
    });
};

/** The processes that serve borg to the account, however they were started. A client that waits for a session names the launcher, too, and is left out. */
export const borgsOf = async (server: Server, account: string): Promise<readonly Process[]> =>
  (await processesOf(server, account)).filter(
    ({ words }) => words.includes('borg-serve') && !words.includes('session-client'),
  );

/** The processes that wait for a hosted session. They are the account's own, and children of sshd. */
export const clientsOf = async (server: Server, account: string): Promise<readonly Process[]> =>
  (await processesOf(server, account)).filter(({ words }) => words.includes('session-client'));

/** The process that serves borg to the account, or undefined. */
export const sessionOf = async (server: Server, account: string): Promise<number | undefined> =>
  (await processesOf(server, account)).find(
    ({ words }) => words.includes('borg-serve') && words.includes(`--account ${account} `),
  )?.pid;
