import { writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { containerLog } from './container-log.ts';
import { firstStart } from './first-start.ts';
import { IMAGE } from './image.ts';
import { BASE_ENVIRONMENT, freePort, makeData, PROJECT, SETTINGS_OF_THIS_RUN, until, untilReady } from './machine.ts';
import { run } from './program.ts';
import type { Environment, Server, ServerOptions, StartOptions } from './server.ts';
import { runOnTerminal } from './terminal.ts';
import { composeWithoutLandlock } from './without-landlock.ts';

type Container = {
  readonly id: string;
  /** Of its first process, outside. */
  readonly pid: string;
  log(): string;
  /** undefined as long as it runs */
  exitCode(): number | undefined;
};

/** Hears of a container's end from one `docker wait`: an `inspect` for each look would cost more than what a test waits for. */
const watch = async (name: string): Promise<Container> => {
  const format = '{{.Id}} {{.State.Pid}} {{.LogPath}}';
  const [id = '', pid = '', file = ''] = (await run('docker', ['inspect', '-f', format, name], BASE_ENVIRONMENT)).stdout
    .trim()
    .split(' ');
  let code: number | undefined;
  run('docker', ['wait', id], BASE_ENVIRONMENT).then(
    ({ stdout }) => {
      code = Number(stdout);
    },
    // The container was removed, so nobody asks for its end any more.
    () => {},
  );
  return { id, pid, log: containerLog(id, file), exitCode: () => code };
};

/** Without the server's own commands: `look` is not for them. */
const PATH_OF_IMAGE = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** A server in a container of the image, by the shipped docker-compose.yml. The image must have been built. */
export const startContainerServer = async (options: ServerOptions): Promise<Server> => {
  const data = await makeData();
  const port = options.port ?? (await freePort());
  const project = basename(data.folder).toLowerCase();
  const envFile = join(data.folder, 'env');
  let earlier = '';
  let container: Container | undefined;
  let settings: Environment = options.env ?? {};

  // Settings that are not the test's subject come from the env file, like an operator's. A test's own settings come from the environment, which
  // carries any value without quoting rules of its own.
  await writeFile(
    envFile,
    `IMAGE=${IMAGE}\nSSH_HOST_PORT=${port}\nSSHKEYS_DIR=${data.sshkeys}\nREPOS_DIR=${data.repos}\nRESTART=no\n`,
  );
  const more = options.landlock ? ['-f', composeWithoutLandlock(data.folder, options.landlock)] : [];
  const compose = (words: readonly string[], reject = true) =>
    run(
      'docker',
      ['compose', '-p', project, '--env-file', envFile, '-f', join(PROJECT, 'docker-compose.yml'), ...more, ...words],
      { ...BASE_ENVIRONMENT, ...SETTINGS_OF_THIS_RUN, ...settings },
      { reject },
    );

  const running = () => container !== undefined && container.exitCode() === undefined;
  const currentLog = () => container?.log() ?? '';

  const ended = async (): Promise<number> => {
    await until('the container to end', () => !running());
    return container?.exitCode() ?? 0;
  };

  const remove = async () => {
    earlier += currentLog();
    container = undefined;
    await compose(['down', '--volumes', '--timeout', '30'], false);
  };

  const start = async (env: Environment = settings, { ready = true }: StartOptions = {}): Promise<void> => {
    if (container !== undefined) await remove();
    settings = env;
    await compose(['up', '--detach', '--no-build']);
    container = await watch(`${project}-borgserver-1`);
    if (ready) await untilReady(port, () => !running(), server.log);
  };

  const server: Server = {
    target: 'container',
    sshkeys: data.sshkeys,
    repos: data.repos,
    port,
    exec: (words, execOptions = {}) => {
      const { env = {}, ...rest } = execOptions;
      const variables = Object.entries(env).flatMap(([name, value]) =>
        name.startsWith('BORG_') && value !== undefined ? ['-e', `${name}=${value}`] : [],
      );
      return run('docker', ['exec', '-i', ...variables, container?.id ?? 'none', ...words], BASE_ENVIRONMENT, rest);
    },
    look: (words, lookOptions) =>
      run(
        'nsenter',
        ['--target', container?.pid ?? '0', '--all', '--wd=/', ...words],
        { PATH: PATH_OF_IMAGE },
        lookOptions,
      ),
    alone: (words) => compose(['run', '--rm', '-T', 'borgserver', ...words], false),
    terminal: (words, terminalOptions) =>
      runOnTerminal(['docker', 'exec', '-it', container?.id ?? 'none', ...words], BASE_ENVIRONMENT, terminalOptions),
    log: () => earlier + currentLog(),
    ended,
    stop: async () => {
      await compose(['stop']);
      return ended();
    },
    kill: async () => {
      // The container may be ending by itself.
      if (container !== undefined && running())
        await run('docker', ['kill', '--signal', 'KILL', container.id], BASE_ENVIRONMENT, { reject: false });
      await ended();
    },
    start,
    cleanup: async () => {
      if (running()) await server.kill();
      await remove();
      await data.remove();
    },
  };

  return firstStart(server, settings, options);
};
