import { join } from 'node:path';
import { BASE_ENVIRONMENT } from '../e2e/harness/machine.ts';
import { type Running, run } from '../e2e/harness/program.ts';
import { requests } from '../e2e/harness/raw-borg.ts';
import type { Server } from '../e2e/harness/server.ts';
import type { PlainServer } from './plain-server.ts';

/** Sessions of an account behind its login, one after the other. */
export type ForcedCommand = (rounds: number) => Promise<{
  /** Milliseconds from the start of the account's shell to borg's first answer. */
  readonly answers: readonly number[];
  /** Milliseconds of CPU of the shells, of what they became, and of what those waited for. The session host's are not in it. */
  readonly cpu: number;
}>;

type Plan = {
  readonly account: string;
  readonly command: string;
  readonly environment: Readonly<Record<string, string>>;
};

const PROGRAM = join(import.meta.dirname, 'forced-command.py');

/** What sshd would start for the account, as sshd itself says (sshd -T). */
export const forcedCommandOf = async (server: Server, account: string): Promise<ForcedCommand> => {
  const who = `user=${account},host=localhost,addr=127.0.0.1`;
  const config = (await server.exec(['/usr/sbin/sshd', '-T', '-f', '/run/borgserver/sshd_config', '-C', who])).stdout;
  const [command = ''] = valuesOf(config, 'forcecommand');
  const set = valuesOf(config, 'setenv').map((each) => each.split(/=(.*)/s) as [string, string]);
  const plan = { account, command, environment: { ...connection(server.port), ...Object.fromEntries(set) } };
  return starting(plan, (words) => server.exec(words));
};

/** The command of the plain server's one line of authorized_keys. */
export const plainForcedCommand = ({ port, pid, command }: PlainServer): ForcedCommand =>
  starting({ account: 'root', command, environment: connection(port) }, (words) =>
    run('nsenter', ['--target', String(pid), '--mount', '--', ...words], BASE_ENVIRONMENT),
  );

const valuesOf = (config: string, name: string): string[] =>
  [...config.matchAll(new RegExp(`^${name} (.*)$`, 'gm'))].map(([, value = '']) => value);

/** What sshd tells every session. */
const connection = (port: number) => ({
  SSH_CLIENT: `127.0.0.1 50000 ${port}`,
  SSH_CONNECTION: `127.0.0.1 50000 127.0.0.1 ${port}`,
  SSH_ORIGINAL_COMMAND: 'borg serve',
});

const starting =
  (plan: Plan, exec: (words: readonly string[]) => Running): ForcedCommand =>
  async (rounds) => {
    const wanted = { ...plan, rounds, requests: Buffer.from(requests()).toString('hex') };
    const { stdout } = await exec(['python3', '-I', PROGRAM, JSON.stringify(wanted)]);
    const { answers, cpu } = JSON.parse(stdout) as { answers: number[]; cpu: number };
    return { answers, cpu: cpu * 1000 };
  };
