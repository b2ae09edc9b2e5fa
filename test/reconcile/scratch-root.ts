import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { State } from '../../src/accounts/account.ts';
import { openMachine, runningState } from '../../src/host/machine.ts';
import { createLog } from '../../src/log.ts';
import { type Places, placesBelow } from '../../src/places.ts';
import { createPass, type PassReport, type PassRequest } from '../../src/reconcile/pass.ts';
import { openWorld } from '../../src/reconcile/world.ts';
import { requireSettings, type Settings } from '../../src/settings.ts';

const SYSTEM = {
  passwd: 'root:x:0:0:root:/root:/bin/sh\nbackup:x:34:34::/:/bin/false\n',
  group:
    'root:x:0:\nborg-repo:x:770:\nborg-appendonly:x:771:\nborg-admin:x:772:\nborg-repo-sub:x:773:\nborg-appendonly-sub:x:774:\n',
};

/** A machine below a folder in /tmp: real files, real owners, nothing of the host. */
export const scratchRoot = (env: Readonly<Record<string, string>> = {}, system: Partial<typeof SYSTEM> = {}) => {
  const root = mkdtempSync(join(tmpdir(), 'borgserver-'));
  chmodSync(root, 0o755);
  const places: Places = placesBelow(root);
  const settings: Settings = requireSettings(env);
  for (const folder of ['repos', 'repos-appendonly', 'admins', 'host'])
    mkdirSync(join(places.sshkeys, folder), { recursive: true });
  for (const folder of [places.state, places.run, places.extrausers, places.etc])
    mkdirSync(folder, { recursive: true });
  for (const [file, text] of Object.entries({ ...SYSTEM, ...system })) writeFileSync(join(places.etc, file), text);
  const log = createLog({ LOG_FORMAT: 'json', LOG_LEVEL: 'error' });
  log.level = 'silent';
  const world = (onAccess: (state: State) => void = () => {}) => openWorld(settings, places, log, onAccess);

  return {
    root,
    places,
    settings,
    world,
    /** Writes one key file, for example repos/web01. */
    declare: (file: string, text: string): void => writeFileSync(join(places.sshkeys, file), text),
    undeclare: (file: string): void => rmSync(join(places.sshkeys, file), { recursive: true }),
    /** One pass of a server that knows nothing of earlier ones. */
    pass: (request: Partial<PassRequest> = {}): Promise<PassReport> =>
      createPass(world())({ occasion: 'asked', dryRun: false, ...request }, new AbortController().signal),
    /** Passes of one server, which knows what it has seen. */
    server: (): (() => Promise<PassReport>) => {
      const pass = createPass(world());
      return () => pass({ occasion: 'asked', dryRun: false }, new AbortController().signal);
    },
    running: (): State => {
      const machine = openMachine(places, { pgid: settings.PGID, repos: places.repos });
      return runningState(machine.observe(), machine.settings);
    },
    /** Every file that the server owns: path, owner, mode and content. */
    owned: (): Record<string, string> => ({
      ...contents(places.extrausers),
      ...contents(places.run),
      ...repositories(places.repos),
    }),
    remove: (): void => rmSync(root, { recursive: true, force: true }),
  };
};

/** One pass below a scratch root that somebody else made. */
export const passBelow = (root: string): Promise<PassReport> => {
  const log = createLog({ LOG_FORMAT: 'json', LOG_LEVEL: 'error' });
  const world = openWorld(requireSettings({}), placesBelow(root), log, () => {});
  return createPass(world)({ occasion: 'asked', dryRun: false }, new AbortController().signal);
};

export type ScratchRoot = ReturnType<typeof scratchRoot>;

const line = (path: string): string => {
  const { uid, gid, mode } = lstatSync(path);
  return `${uid}:${gid} ${(mode & 0o7777).toString(8)}`;
};

const contents = (folder: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .map((entry) => [entry, join(entry.parentPath, entry.name)] as const)
      .map(([entry, path]) => [
        path.slice(folder.length + 1),
        `${line(path)}${entry.isFile() ? `\n${readFileSync(path, 'utf8')}` : ''}`,
      ]),
  );

const repositories = (folder: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(folder)
      .filter((name) => !name.startsWith('.'))
      .map((name) => [`repos/${name}`, line(join(folder, name))]),
  );
