import { type ChildProcessWithoutNullStreams, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll } from 'vitest';
import { findBorg } from '../../src/borg/interpreter.ts';
import { open, type Value } from '../e2e/harness/raw-borg.ts';
import { type Call, converse, type LaunchOptions, launch } from './launched-session.ts';

const LAUNCHER = join(import.meta.dirname, '../../image/borg-serve');

export const COMMIT = ['commit', { save_space: false, compact: true, threshold: 0 }] as const;

export const PRECIOUS = 'precious';
const SECRET = 'secret'.padEnd(32, '.');

/** What an admin does every day, each in a session of its own. Together they read and write every entry in whose place a link may be. */
export const ORDINARY: readonly (readonly [how: { readonly [name: string]: Value }, calls: readonly Call[]])[] = [
  [
    { exclusive: true },
    [
      ['check', { repair: true, save_space: false }],
      ['get', { id: SECRET }],
    ],
  ],
  [
    { exclusive: true },
    [
      ['load_key', {}],
      ['save_key', { keydata: Buffer.from('KEY') }],
    ],
  ],
  [{ exclusive: true }, [['put', { id: 'other'.padEnd(32, '.'), data: Buffer.from('other') }], COMMIT]],
  [{}, [['list', {}]]],
  [{ exclusive: true }, [['get_free_nonce', {}]]],
  [{ lock: false }, [['break_lock', {}]]],
];

/** Two repositories, `web01` and its copy `victim`. The data of the victim contain PRECIOUS, too. Call `remove` in the end. */
export type LinkedRepository = {
  readonly folder: string;
  readonly repos: string;
  readonly victim: string;
  /** Puts a link in the place of an entry of web01. It leads to an entry of the victim: to the one of the same name, if none is given. */
  link(entry: string, to?: string): void;
  /** Does all of ORDINARY to web01, and resolves with all answers. */
  ordinary(box: string, options?: Partial<LaunchOptions>): Promise<string>;
  /** A session on web01 of a borg that may open every repository. @param box the launcher's option --box */
  admin(box?: string, options?: Partial<LaunchOptions>): ReturnType<typeof converse>;
  remove(): void;
};

/** Both repositories as they are in the beginning, made once for all tests of a file. */
let pristine: Promise<LinkedRepository> | undefined;
afterAll(async () => (await pristine)?.remove());

export const makeLinkedRepository = async (): Promise<LinkedRepository> => {
  pristine ??= makePristine();
  const from = (await pristine).repos;
  const made = emptyFolder();
  cpSync(from, made.repos, { recursive: true });
  return made;
};

const makePristine = async (): Promise<LinkedRepository> => {
  const made = emptyFolder();
  const { folder, repos, victim } = made;
  const env = { PATH: '/usr/bin:/bin', LC_ALL: 'C.UTF-8', BORG_BASE_DIR: join(folder, 'client') };
  spawnSync(findBorg().path, ['init', '--encryption', 'none', join(repos, 'web01')], { env });
  const put = async (name: string, id: string, data: string): Promise<void> => {
    const session = await made.admin();
    await session.call(...open(join(repos, name), { exclusive: true }));
    await session.call('put', { id: id.padEnd(32, '.'), data: Buffer.from(data) });
    await session.call(...COMMIT);
    await session.end();
  };
  await put('web01', 'object', 'common');
  cpSync(join(repos, 'web01'), victim, { recursive: true });
  await put('victim', 'secret', PRECIOUS);
  // With Python 3.14 borg does not wipe the config that a link leads to: os.link() then links that file itself. So a secret is put there, which
  // shows that borg has read it.
  appendFileSync(join(victim, 'config'), `key = ${PRECIOUS}\n`);
  // A number of eight bytes. An answer contains these bytes unchanged.
  writeFileSync(join(victim, 'nonce'), Buffer.from(PRECIOUS).toString('hex'));
  return made;
};

const emptyFolder = (): LinkedRepository => {
  const folder = mkdtempSync(join(tmpdir(), 'linked-'));
  const repos = join(folder, 'repos');
  const running: ChildProcessWithoutNullStreams[] = [];
  mkdirSync(repos);
  const admin: LinkedRepository['admin'] = (box = 'required', options = {}) => {
    const borg = launch({
      ...{ launcher: LAUNCHER, repos, repository: join(repos, 'web01'), account: 'ops' },
      ...{ before: ['--box', box], restriction: ['--restrict-to-path', repos] },
      ...options,
    });
    running.push(borg);
    return converse(borg);
  };
  return {
    ...{ folder, repos, victim: join(repos, 'victim'), admin },
    ordinary: async (box, options) => {
      let said = '';
      for (const [how, calls] of ORDINARY) {
        const session = await admin(box, options);
        said += await session.callAll([open(join(repos, 'web01'), how), ...calls]);
        await session.end();
      }
      return said;
    },
    link: (entry, to = entry) => {
      const path = join(repos, 'web01', entry);
      rmSync(path, { recursive: true, force: true });
      mkdirSync(dirname(path), { recursive: true });
      symlinkSync(join(repos, 'victim', to), path);
    },
    remove: () => {
      for (const each of running) each.kill('SIGKILL');
      rmSync(folder, { recursive: true });
    },
  };
};

const newest = (folder: string, name: string): string =>
  readdirSync(folder)
    .filter((each) => each.startsWith(`${name}.`))
    .sort()
    .at(-1) ?? '';

/** Each entry in whose place a link can stand, and how it is made. */
export const ENTRIES: readonly (readonly [string, (made: LinkedRepository) => void])[] = [
  ['config.old', ({ link }) => link('config.old', 'config')],
  ['config', ({ link }) => link('config')],
  ['data', ({ link }) => link('data')],
  ['data/0', ({ link }) => link('data/0')],
  ['the index', ({ link, victim }) => link(newest(victim, 'index'))],
  ['the hints', ({ link, victim }) => link(newest(victim, 'hints'))],
  ['nonce', ({ link }) => link('nonce')],
  ['lock.roster', ({ link }) => link('lock.roster', 'config')],
  ['lock.exclusive', ({ link }) => link('lock.exclusive', 'data/0')],
];
