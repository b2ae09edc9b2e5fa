import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import type { Client } from '../e2e/harness/client.ts';
import { BASE_ENVIRONMENT } from '../e2e/harness/machine.ts';
import { type Call, requests } from '../e2e/harness/raw-borg.ts';
import type { Server } from '../e2e/harness/server.ts';
import type { PlainServer } from './plain-server.ts';

/** The words of ssh that reach an account. */
export type Way = readonly string[];

export const wayTo = (client: Client, server: Pick<Server, 'port'>, account: string): Way => [
  ...client.sshFlags(),
  ...['-p', String(server.port), `${account}@127.0.0.1`, 'borg serve'],
];

export const wayToPlain = (client: Client, plain: PlainServer): Way => [
  // For ssh, the first of repeated options counts.
  ...['-o', `UserKnownHostsFile=${plain.knownHosts}`, ...client.sshFlags()],
  ...['-p', String(plain.port), 'root@127.0.0.1', 'borg serve'],
];

/**
 * Milliseconds from the start of ssh to the first byte of borg's answer, or null if none came.
 *
 * @param during is called while the session is open
 * @param calls what borg is asked after the greeting
 */
export const firstAnswer = (
  way: Way,
  during: () => unknown = () => {},
  calls: readonly Call[] = [],
): Promise<number | null> =>
  new Promise((resolve) => {
    const start = performance.now();
    const child = spawn('ssh', way, { env: BASE_ENVIRONMENT, stdio: ['pipe', 'pipe', 'ignore'] });
    let answer: number | null = null;
    child.stdin.on('error', () => {});
    child.stdin.write(requests(...calls));
    child.stdout.once('data', async () => {
      answer = performance.now() - start;
      await during();
      child.stdin.end();
    });
    child.stdout.resume();
    child.on('close', () => resolve(answer));
  });

/** Memory of a process in MB as proc(5) counts it: VmRSS now, VmHWM at most. */
export const memoryOf = (pid: number, field: 'VmRSS' | 'VmHWM' = 'VmRSS'): number => {
  const line = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return (Number(line?.[1]) * 1024) / 1e6;
};

/** CPU seconds that a process has used (proc(5): fields 14 and 15, in hundredths). */
export const cpuOf = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
};

/** All processes whose command line matches. */
export const processes = (pattern: RegExp): number[] =>
  readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && pattern.test(commandOf(pid)));

const commandOf = (pid: number): string => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ');
  } catch {
    return '';
  }
};

/** The daemon of this server: others may run at the same time, and each has its port in its environment. */
export const daemonOf = ({ port }: Pick<Server, 'port'>): number => {
  const pid = processes(DAEMON).find((each) =>
    readFileSync(`/proc/${each}/environ`, 'latin1').split('\0').includes(`SSH_PORT=${port}`),
  );
  if (!pid) throw new Error('the daemon is not among the processes');
  return pid;
};

const DAEMON = /^\S*node .*borgserver\.js entrypoint sshd/;

/** Matches a session of borg on the server's side, but neither the shell that began it nor a client. */
export const SERVE = /^\S*python\S* .*serve .*--restrict-to|^\S*python\S* .*borg-serve/;
