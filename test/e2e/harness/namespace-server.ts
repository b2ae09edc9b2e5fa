import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { BASE_ENVIRONMENT, freePort, makeData, PROJECT, untilReady } from './machine.ts';
import { run } from './program.ts';
import type { Environment, Server, ServerOptions, StartOptions } from './server.ts';

/** A server in private namespaces of this machine, by the script that `npm start` calls. */
export const startNamespaceServer = async (options: ServerOptions): Promise<Server> => {
  const data = await makeData();
  const port = await freePort();
  const base = { ...BASE_ENVIRONMENT, DATA_DIR: data.folder };
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
    const started = spawn(join(PROJECT, 'image/start-without-docker'), [], {
      env: { ...base, ...env, SSH_PORT: String(port) },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child = started;
    const hear = (chunk: Buffer) => {
      log += chunk.toString();
    };
    started.stdout.on('data', hear);
    started.stderr.on('data', hear);
    // 'close' and not 'exit': everything inside holds the pipes, so it says that the last of them is gone, too
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
    exec: (words, execOptions) => run(join(PROJECT, 'image/exec-without-docker'), words, base, execOptions),
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

  try {
    await options.prepare?.(data);
    await start(settings, options);
  } catch (error) {
    await server.cleanup();
    throw error;
  }
  return server;
};
