import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { until } from '../e2e/harness/machine.ts';
import { open } from '../e2e/harness/raw-borg.ts';
import { contents, ownerships } from '../e2e/harness/repository-files.ts';
import { type Change, launcherWith, launcherWithout, WALLS } from './launcher-without.ts';
import { COMMIT, ENTRIES, type LinkedRepository, makeLinkedRepository, PRECIOUS } from './linked-repository.ts';

// Three walls are between two tenants: the kernel's box (or the check of each entry, if there is no box), the owners of the files, and borg's
// own restriction. Each holds alone: here the others are taken out of a copy of the launcher. box.test.ts tests that the box and the check
// each hold alone even if a session may change everything.

let made: LinkedRepository;

beforeEach(async () => {
  made = await makeLinkedRepository();
});

afterEach(() => made.remove());

/** The account `nobody`. Every machine has it, and a session looks its account up. */
const OWN = 65_534;
const OTHER = 40_012;

/** Gives each repository to an account of its own, as the server does. */
const handOver = async (): Promise<void> => {
  chmodSync(made.folder, 0o755);
  for (const [name, uid] of [
    ['web01', OWN],
    ['victim', OTHER],
  ] as const) {
    const folder = join(made.repos, name);
    for (const { path, kind } of await ownerships(folder)) {
      lchownSync(join(folder, path), uid, uid);
      if (kind !== 'other') chmodSync(join(folder, path), kind === 'folder' ? 0o2770 : 0o660);
    }
  }
};

/** With these entries one cannot see that borg follows the link: it makes them anew from the data. */
const SILENT = ['the index', 'the hints'];

describe.each(ENTRIES)('a link in the place of %s', (entry, make) => {
  test('does harm without any wall, and none if only the owners of the files protect', async () => {
    make(made);
    await handOver();
    const launcher = launcherWithout(made.folder, 'box', 'entries', 'restriction');
    const before = await contents(made.victim);
    const tenants = await made.ordinary('required', { launcher, uid: OWN, account: 'web01' });
    expect(tenants).not.toContain(PRECIOUS);
    expect(await contents(made.victim)).toEqual(before);

    if (SILENT.includes(entry)) return;
    make(made);
    const said = await made.ordinary('required', { launcher });
    const after = await contents(made.victim);
    expect(said.includes(PRECIOUS) || !sameFiles(before, after)).toBe(true);
  });
});

const sameFiles = (one: ReadonlyMap<string, string>, other: ReadonlyMap<string, string>): boolean =>
  one.size === other.size && [...one].every(([path, digest]) => other.get(path) === digest);

describe('another repository, by its own path', () => {
  const openVictim = async (without: Parameters<typeof launcherWithout>[1][], uid?: number) => {
    const session = await made.admin('required', {
      ...{ launcher: launcherWithout(made.folder, ...without), account: 'web01', ...(uid && { uid }) },
      restriction: ['--restrict-to-repository', join(made.repos, 'web01')],
    });
    const said = await session.callAll([
      open(made.victim, { lock: false }),
      ['get', { id: 'secret'.padEnd(32, '.') }],
      open(join(made.repos, 'web01'), { lock: false }),
      ['get', { id: 'object'.padEnd(32, '.') }],
    ]);
    await session.end();
    return said;
  };

  test('is open without any wall', async () => {
    expect(await openVictim(['box', 'entries', 'restriction'])).toContain(PRECIOUS);
  });

  test('is closed by borg’s restriction alone', async () => {
    const said = await openVictim(['box', 'entries']);
    expect(said).not.toContain(PRECIOUS);
    expect(said).toContain('PathNotAllowed');
    expect(said).toContain('common');
  });

  test('is closed by the box alone', async () => {
    const said = await openVictim(['entries', 'restriction']);
    expect(said).not.toContain(PRECIOUS);
    expect(said).toContain('common');
  });

  test('is closed by the owners of the files alone', async () => {
    await handOver();
    const said = await openVictim(['box', 'entries', 'restriction'], OWN);
    expect(said).not.toContain(PRECIOUS);
    expect(said).toContain('common');
  });
});

describe('the server’s own folder', () => {
  const make = async (without: Parameters<typeof launcherWithout>[1][], uid?: number) => {
    mkdirSync(join(made.repos, '.borgserver'), { mode: 0o711, recursive: true });
    chmodSync(made.folder, 0o755);
    // As /repos belongs to the group of the admins.
    chownSync(made.repos, 0, OWN);
    chmodSync(made.repos, 0o1771);
    const path = join(made.repos, '.borgserver/new');
    const launcher = launcherWithout(made.folder, ...without);
    const session = await made.admin('required', { launcher, ...(uid && { uid }) });
    const said = await session.call(...open(path, { create: true, make_parent_dirs: true }));
    await session.end();
    return { said, is: readdirSync(join(made.repos, '.borgserver')) };
  };

  test('is open without any wall to a session that may open every repository', async () => {
    expect((await make(['box', 'restriction'])).is).toEqual(['new']);
  });

  test('is closed by the rule about dots alone, and by its owner alone', async () => {
    const byRule = await make(['box']);
    expect(byRule.is).toEqual([]);
    expect(byRule.said).toContain('PathNotAllowed');
    const byOwner = await make(['box', 'restriction'], OWN);
    expect(byOwner.is).toEqual([]);
    expect(byOwner.said).toContain('Permission');
  });
});

describe.each([
  ['the box', 'required', WALLS.entries],
  ['the check of each entry', 'entries', WALLS.box],
] as const)('with %s alone, if somebody exchanges a folder at the worst moment', (_wall, box, without) => {
  const put = [['put', { id: 'other'.padEnd(32, '.'), data: Buffer.from('other') }], COMMIT] as const;

  /** Makes the session wait, once it has made the folder of its lock, until the file `asked` is gone. */
  const MADE = 'path = tempfile.mkdtemp(*args, **kwargs)\n';
  const WAIT = `        import time
        with open(os.path.dirname(path) + '/asked', 'w') as file:
            file.write(os.path.basename(path))
        while os.path.exists(os.path.dirname(path) + '/asked'):
            time.sleep(0.01)
`;

  // A box does not restrict chmod(2).
  test.each(['the folder of its lock', 'the folder above it'])('no mode changes elsewhere: %s', async (exchanged) => {
    const change: Change = ['launcher/comfort/lock_folder.py', MADE, `${MADE}${WAIT}`];
    const session = await made.admin(box, { launcher: launcherWith(made.folder, ...without, change) });
    const opened = session.call(...open(join(made.repos, 'web01'), { exclusive: true }));
    const own = join(made.repos, 'web01');
    const asked = join(own, 'asked');
    const name = await until(
      'the lock to be made',
      () => (existsSync(asked) && readFileSync(asked, 'utf8')) || undefined,
    );
    const elsewhere = join(made.repos, 'elsewhere');
    mkdirSync(join(elsewhere, name), { recursive: true, mode: 0o700 });
    // An admin's box lets a session remove an empty folder, as it does when it deletes a repository.
    writeFileSync(join(elsewhere, name, 'file'), '', { mode: 0o600 });
    if (exchanged === 'the folder above it') {
      renameSync(own, `${own}-gone`);
      symlinkSync(elsewhere, own);
    } else {
      renameSync(join(own, name), join(own, 'gone'));
      symlinkSync(join(elsewhere, name), join(own, name));
      rmSync(asked);
    }
    expect(await opened).toMatch(/exception_class/);
    await session.end();
    expect((await ownerships(elsewhere)).map(({ path, mode }) => [path, mode])).toEqual([
      ['.', '700'],
      [name, '700'],
      [`${name}/file`, '600'],
    ]);
  });

  test('nothing new is written there', async () => {
    const own = join(made.repos, 'web01');
    for (const name of readdirSync(own).filter((each) => /^(index|hints|integrity)[.]/.test(each)))
      rmSync(join(own, name));
    // The repository is empty, so that the first file that borg opens in it is one that it writes.
    const elsewhere = join(made.repos, 'elsewhere');
    mkdirSync(elsewhere);
    rmSync(join(own, 'data/0'), { recursive: true });
    symlinkSync(elsewhere, join(own, 'data/0'));
    // It was exchanged after the first check.
    const late: Change = ['launcher/confinement.py', 'entries.check_entries(found)', 'pass'];
    const session = await made.admin(box, {
      launcher: launcherWith(made.folder, ...without, ...(box === 'entries' ? [late] : [])),
    });
    const said = await session.callAll([open(own, { exclusive: true }), ...put]);
    await session.end();
    expect(said).toMatch(/is a link|Permission/);
    expect(readdirSync(elsewhere)).toEqual([]);
  });
});
