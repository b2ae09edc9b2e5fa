import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { inspect } from 'node:util';
import { PATIENCE_MS } from './patience.ts';

/** The project's folder. */
export const PROJECT = join(import.meta.dirname, '../../..');

/** The part of this process' environment that programs under test get. */
export const BASE_ENVIRONMENT: Readonly<Record<string, string>> = {
  PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: process.env.HOME ?? '/root',
  LANG: 'C.UTF-8',
};

/**
 * Settings of this run, for every server that does not set them itself. No periodic pass comes while a test waits: a wait is long, and such a pass
 * would hide that the server has missed something. With E2E_SESSION_HOST=no the whole suite shows that the same holds for sessions that load borg
 * themselves.
 */
export const SETTINGS_OF_THIS_RUN: Readonly<Record<string, string>> = {
  RESYNC_SECONDS: '86400',
  ...(process.env.E2E_SESSION_HOST !== undefined && { SESSION_HOST: process.env.E2E_SESSION_HOST }),
};

/** A scratch folder with the two folders of a server in it. `remove` takes away everything, repositories too. */
export const makeData = async () => {
  const folder = await mkdtemp(join(tmpdir(), 'borgserver-e2e-'));
  const sshkeys = join(folder, 'sshkeys');
  const repos = join(folder, 'repos');
  await mkdir(sshkeys, { mode: 0o755 });
  await mkdir(repos, { mode: 0o755 });
  return { folder, sshkeys, repos, remove: () => rm(folder, { recursive: true, force: true }) };
};

/** A TCP port that nobody listens on now. */
export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, () => {
      const address = server.address();
      server.close(() =>
        address && typeof address === 'object' ? resolve(address.port) : reject(new Error('no port')),
      );
    });
  });

/**
 * Whether an SSH server greets on the port (a published port of Docker accepts connections before anybody listens behind it).
 *
 * @param patience milliseconds
 */
export const greets = (port: number, patience = 2_000): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    const answer = (yes: boolean) => {
      socket.destroy();
      resolve(yes);
    };
    socket.setTimeout(patience, () => answer(false));
    socket.once('data', (data) => answer(data.toString().startsWith('SSH-2.0-')));
    socket.once('error', () => answer(false));
    socket.once('close', () => answer(false));
  });

/** Notes what a look has seen, and gives it back. */
export type Saw = <V>(seen: V) => V;

const scenes = new Set<() => string>();

/**
 * Has each failed wait show something more, such as the end of a server's log.
 *
 * @returns has it shown no longer
 */
export const showWhereWaitsFail = (scene: () => string): (() => void) => {
  scenes.add(scene);
  return () => void scenes.delete(scene);
};

/**
 * Looks again and again until `probe` gives something other than undefined or false, and resolves with it.
 *
 * @param what the sentence for the failure: "the account to appear"
 * @param probe may give what it looks at to `saw`: the failure then shows what was seen last
 * @param limit milliseconds; generous, since it only bounds a failing test
 * @throws Error with what was seen last
 */
export const until = async <T>(
  what: string,
  probe: (saw: Saw) => T | undefined | false | Promise<T | undefined | false>,
  limit = PATIENCE_MS,
): Promise<T> => {
  const end = performance.now() + limit;
  let last: unknown[] = [];
  const saw: Saw = (seen) => {
    last = [seen];
    return seen;
  };
  for (let looks = 1; ; looks += 1) {
    const begun = performance.now();
    const found = await probe(saw);
    if (found !== undefined && found !== false) return found;
    if (performance.now() > end) {
      const seen = last.map((each) => `seen last: ${typeof each === 'string' ? each : inspect(each, { depth: 5 })}`);
      const all = [...seen, ...[...scenes].map((scene) => scene())];
      throw new Error([`waited ${limit} ms in vain for ${what}, in ${looks} looks`, ...all].join('\n'));
    }
    // A look may start programs. The pause is as long as the look. So half of the time is left to what the test waits for, and to other tests.
    await setTimeout(Math.min(Math.max(20, performance.now() - begun), 500));
  }
};

/** Waits until the server greets, or ends first. */
export const untilReady = async (port: number, hasEnded: () => boolean, log: () => string): Promise<void> => {
  try {
    let patience = 1_000;
    await until('an SSH server to greet', async () => {
      if (hasEnded()) throw new Error('the server ended instead of starting');
      // On a busy machine a greeting may take longer than the first looks have.
      patience = Math.min(2 * patience, 60_000);
      return greets(port, patience);
    });
  } catch (error) {
    throw new Error(`the server did not start; its log:\n${log()}`, { cause: error });
  }
};
