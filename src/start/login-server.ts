import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { knownPort, urlAuthority } from '../accounts/public-address.ts';
import type { Role } from '../accounts/role.ts';
import { findBorg } from '../borg/interpreter.ts';
import { copyLauncher, sessionHostBelow } from '../borg/launcher.ts';
import { type BoxState, checkBorg, noBoxText, requireBox } from '../borg/launcher-check.ts';
import { parseServeArguments } from '../borg/serve-arguments.ts';
import { serverMemory } from '../host/memory.ts';
import { shippedFile } from '../host/shipped.ts';
import { writeFileAtomically } from '../host/write.ts';
import type { Logger } from '../log.ts';
import type { Places } from '../places.ts';
import { type Settings, wrongSettings } from '../settings.ts';
import { renderSshdConfig, SSHD_CONFIG_FILES, sessionEnvironment } from '../sshd/config.ts';
import { hostKeyFingerprints, prepareHostKeys } from '../sshd/host-keys.ts';
import { probeSshd } from '../sshd/probe.ts';
import { testConfig } from '../sshd/server.ts';
import { installSessionClient } from '../sshd/session-client.ts';
import { renderSessionTerms, SESSION_TERMS_FILE } from '../sshd/session-terms.ts';
import { checkStrictModes } from '../sshd/strict-modes.ts';
import { VERSION } from '../version.ts';

/** The program and its one argument, and its whole environment except PATH. */
export type SessionHostPlan = {
  readonly program: string;
  readonly terms: string;
  readonly environment: Readonly<Record<string, string>>;
};

/** What is known before the first login: nothing listens yet. */
export type LoginPlan = {
  readonly sshd: string;
  readonly config: string;
  /** borg's interpreter, and the small program that starts sshd. */
  readonly python: string;
  readonly starter: string;
  /** The small program that hears how sessions ended. */
  readonly listener: string;
  /** The session host, and the arguments to start it. Null: each session loads borg itself. */
  readonly host: SessionHostPlan | null;
  readonly box: BoxState;
  readonly versions: { readonly borg: string; readonly openssh: string };
};

type ExtraArguments = 'REPO_SERVE_EXTRA_ARGS' | 'APPENDONLY_SERVE_EXTRA_ARGS' | 'ADMIN_SERVE_EXTRA_ARGS';

/** The extra arguments of every role, or what is wrong with them. */
export const readServeArguments = (
  settings: Readonly<Partial<Record<ExtraArguments, string>>>,
):
  | { readonly ok: true; readonly words: Readonly<Record<Role, readonly string[]>> }
  | { readonly ok: false; readonly problems: readonly string[] } => {
  const problems: string[] = [];
  const wordsOf = (variable: ExtraArguments): readonly string[] => {
    const parsed = parseServeArguments(variable, settings[variable] ?? '');
    if ('words' in parsed) return parsed.words;
    problems.push(...parsed.problems);
    return [];
  };
  const words = {
    repo: wordsOf('REPO_SERVE_EXTRA_ARGS'),
    'append-only': wordsOf('APPENDONLY_SERVE_EXTRA_ARGS'),
    admin: wordsOf('ADMIN_SERVE_EXTRA_ARGS'),
  };
  return problems.length > 0 ? { ok: false, problems } : { ok: true, words };
};

/** The same for callers that cannot go on without them. @throws failure 'bad-settings' with all problems */
export const serveArguments = (settings: Readonly<Partial<Record<ExtraArguments, string>>>) => {
  const read = readServeArguments(settings);
  if (!read.ok) throw wrongSettings(read.problems);
  return read.words;
};

/**
 * Everything that sshd needs, made and checked before anything listens: borg and its self-test, the launcher in a place where
 * tenants can read it, host keys, a configuration that sshd accepts.
 *
 * @throws what is wrong, with cause
 */
export const prepareLogin = async (
  settings: Settings,
  places: Places,
  hostId: string,
  log: Logger,
): Promise<LoginPlan> => {
  const { path, python } = findBorg();
  const launcher = copyLauncher(places.run);
  const [borg, sshd, hostKeys] = await Promise.all([
    checkBorg({ path, python }, launcher, places.state),
    probeSshd(),
    prepareHostKeys({ folder: join(places.sshkeys, 'host'), run: places.run }),
  ]);
  const { box } = borg;
  if (box !== null) {
    if (settings.BOX === 'required') requireBox(box);
    log.warn(noBoxText(box));
  }
  const address = urlAuthority(settings.PUBLIC_HOST, knownPort(settings.PUBLIC_PORT, process.env));
  const sessions = {
    ...{ places, settings, serveArguments: serveArguments(settings) },
    // Otherwise a session would go on without something that was there at the start.
    box: box === null ? 'required' : 'entries',
  } as const;
  const client = settings.SESSION_HOST === 'yes' ? installSessionClient(places.run) : null;
  const terms = join(places.run, SESSION_TERMS_FILE);
  if (client) writeFileAtomically(terms, renderSessionTerms(sessions), { mode: 0o600 });
  const files = renderSshdConfig({
    ...sessions,
    ...{ client, hostId, python, launcher, supported: sshd.supported },
    version: sshd.version,
    penalties: sshd.penalties,
    memory: serverMemory(),
    hostKeys: hostKeys.map(({ privatePath }) => privatePath),
    timeZone: process.env.TZ,
    address,
  });
  for (const part of ['repositories', 'main'] as const)
    writeFileAtomically(join(places.run, SSHD_CONFIG_FILES[part]), files[part], { mode: 0o600 });
  const config = join(places.run, SSHD_CONFIG_FILES.main);
  mkdirSync(join(places.run, 'authorized_keys'), { recursive: true, mode: 0o755 });
  checkStrictModes(join(places.run, 'authorized_keys'));
  await testConfig(sshd.path, config);
  log.info(
    { version: VERSION, borg: borg.version, sshd: sshd.version, hostKeys: hostKeyFingerprints(hostKeys) },
    'borgserver',
  );
  const starter = shippedFile('sshd-with-log');
  const environment = {
    ...sessionEnvironment({ repos: places.repos, hostId, address }),
    // sshd hands its own TZ on, even if it is empty: then it means UTC, whatever the machine's zone is.
    ...(process.env.TZ !== undefined && { TZ: process.env.TZ }),
  };
  return {
    sshd: sshd.path,
    config,
    python,
    starter,
    listener: shippedFile('session-ends'),
    host: client && { program: sessionHostBelow(places.run), terms, environment },
    box,
    versions: { borg: borg.version, openssh: sshd.version },
  };
};
