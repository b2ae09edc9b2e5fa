import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { firstStart } from './first-start.ts';
import { BASE_ENVIRONMENT, freePort, makeData, PROJECT, SETTINGS_OF_THIS_RUN, untilReady } from './machine.ts';
import { run } from './program.ts';
import type { Environment, Server, ServerOptions, StartOptions } from './server.ts';
import { runOnTerminal } from './terminal.ts';
import { withoutLandlock } from './without-landlock.ts';

/** Where the scripts are, and the words before them. */
export type Way = {
  readonly project: string;
  readonly start: readonly string[];
  /** The words before a command beside a server, whose start has this PID. */
  readonly exec: (pid: number) => readonly string[];
};

const DIRECT: Way = { project: PROJECT, start: [], exec: () => [] };

/** A server in private namespaces of this machine, by the script that `npm start` calls. */
export const startNamespaceServer = async (options: ServerOptions, way: Way = DIRECT): Promise<Server> => {
  const data = await makeData();
  const before = options.landlock ? withoutLandlock(data.folder, options.landlock) : [];
  const port = options.port ?? (await freePort());
  const base = { ...BASE_ENVIRONMENT, ...SETTINGS_OF_THIS_RUN, DATA_DIR: data.folder };
  let log = '';
  let child: ChildProcess | undefined;
  let end: Promise<number> = Promise.resolve(0);
  let settings: Environment = options.env ?? {};

  const running = () => child !== undefined && child.exitCode === null && child.signalCode === null;

  const signal = async (name: NodeJS.Signals): Promise<number> => {
    if (running()) child?.kill(name);
    return end;
  };

  const start = async (env: Environment = settings, { ready = true }: StartOptions = {}): Promise<void> => {
    await signal('SIGTERM');
    settings = env;
    const [file = '', ...words] = [...before, ...way.start, join(way.project, 'image/start-without-docker')];
    const started = spawn(file, words, {
      env: { ...base, ...env, SSH_PORT: String(port) },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child = started;
    const hear = (chunk: Buffer) => {
      log += chunk.toString();
    };
    started.stdout.on('data', hear);
    started.stderr.on('data', hear);
    // 'close' and not 'exit': every process inside holds the pipes, so 'close' means that the last process is gone, too
    end = new Promise((resolve, reject) => {
      started.on('error', reject);
      started.on('close', (code) => resolve(code ?? 137));
    });
    if (ready)
      await untilReady(
        port,
        () => !running(),
        () => log,
      );
  };

  const server: Server = {
    target: 'namespace',
    sshkeys: data.sshkeys,
    repos: data.repos,
    port,
    exec: (words, execOptions) => {
      const [file = '', ...rest] = [
        ...before,
        ...way.exec(child?.pid ?? 0),
        join(way.project, 'image/exec-without-docker'),
        ...words,
      ];
      return run(file, rest, base, execOptions);
    },
    look: (words, lookOptions) => server.exec(words, lookOptions),
    alone: (words) =>
      run(join(way.project, 'image/start-without-docker'), words, { ...base, ...settings }, { reject: false }),
    terminal: (words, terminalOptions) =>
      runOnTerminal([join(PROJECT, 'image/exec-without-docker'), ...words], base, terminalOptions),
    log: () => log,
    ended: () => end,
    stop: () => signal('SIGTERM'),
    kill: async () => {
      await signal('SIGKILL');
    },
    start,
    cleanup: async () => {
      await signal('SIGKILL');
      await data.remove();
    },
  };

  return firstStart(server, settings, options);
};
