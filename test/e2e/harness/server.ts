import { startContainerServer } from './container-server.ts';
import { startNamespaceServer } from './namespace-server.ts';
import type { Finished, ProgramOptions, Running } from './program.ts';
import type { TerminalOptions } from './terminal.ts';
import type { Refusal } from './without-landlock.ts';

/**
 * A real server with real accounts, sshd and borg, on data of its own, with a port of its own on 127.0.0.1.
 *
 * It is started as an operator starts it: by `image/start-without-docker`, or in the image by the shipped docker-compose.yml.
 * Several servers may run at once.
 */
export type Server = {
  readonly target: Target;
  /** The key tree and the repositories as real folders; the test may read and write them as root. */
  readonly sshkeys: string;
  readonly repos: string;
  readonly port: number;
  /**
   * Runs words inside the running server, as `docker exec` does: `exec(['update-borgusers'])`, `exec(['list', 'web01'])`.
   * Variables in `env` go along if their names begin with BORG_.
   */
  exec(words: readonly string[], options?: ProgramOptions): Running;
  /**
   * Runs words that look at the running server or its processes and are none of its commands: as root in its namespaces. Where a test looks again and
   * again this counts: `docker exec` costs some 0.3 s of CPU each time.
   */
  look(words: readonly string[], options?: Pick<ProgramOptions, 'reject'>): Running;
  /** Runs words in place of the server, which does not run: `alone(['update-borgusers'])`, as `docker compose run --rm` does. */
  alone(words: readonly string[]): Promise<Finished>;
  /** `exec` on a pseudo terminal, as `docker exec -it` does; see runOnTerminal. */
  terminal(words: readonly string[], options?: TerminalOptions): Running;
  /** All that the server has written to standard output and error since the first start. */
  log(): string;
  /** Resolves with the exit code once the server has ended, by itself or not. */
  ended(): Promise<number>;
  /** Asks the server to end, as `docker stop` and Ctrl-C do. Resolves with its exit code. */
  stop(): Promise<number>;
  /** SIGKILL for the server and everything in it, like a power cut. Resolves when all of it is gone. */
  kill(): Promise<void>;
  /**
   * Starts it again on the same data and port, in a new container or new namespaces (a running one is stopped first).
   * @param env replaces what was given before
   */
  start(env?: Environment, options?: StartOptions): Promise<void>;
  /** Ends it and removes its data. Call it in afterAll, whatever happened. */
  cleanup(): Promise<void>;
};

export type Target = 'namespace' | 'container';

/** The settings of docs/settings.md, by name. SSH_PORT is the harness' own. */
export type Environment = Readonly<Record<string, string>>;

export type StartOptions = {
  /** `false` is for a start that should be refused: it resolves at once. Then await `ended()` and look at `log()`. */
  readonly ready?: boolean;
};

export type ServerOptions = StartOptions & {
  /** A port of 127.0.0.1. If left out, one that is free. */
  readonly port?: number;
  readonly env?: Environment;
  /** How the kernel refuses to make a box for borg. If left out, the kernel makes one. */
  readonly landlock?: Refusal;
  /** Whether the server makes all of its host keys itself. If not, it finds the RSA key, which takes longest to make (giveHostKey). */
  readonly ownHostKeys?: boolean;
  /** Fills the folders before the first start. Both exist and are empty. */
  readonly prepare?: (dirs: { readonly sshkeys: string; readonly repos: string }) => void | Promise<void>;
};

/** What the suite runs against: E2E_TARGET=container, else private namespaces on this machine. */
export const TARGET: Target = process.env.E2E_TARGET === 'container' ? 'container' : 'namespace';

/** Defines tests that have a meaning on one target only; on the other there are none, so none is skipped. */
export const onlyOn = (target: Target, define: () => void): void => {
  if (TARGET === target) define();
};

/**
 * Starts a server and resolves when its sshd answers.
 *
 * @throws Error with the log in the message if it ends or does not answer in 30 seconds
 */
export const startServer = (options: ServerOptions = {}): Promise<Server> =>
  TARGET === 'container' ? startContainerServer(options) : startNamespaceServer(options);
