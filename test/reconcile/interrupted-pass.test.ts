import { execFileSync, spawnSync } from 'node:child_process';
import { chownSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type State, stateOf } from '../../src/accounts/account.ts';
import type { AccountName } from '../../src/accounts/name.ts';
import { keyNumber } from '../accounts/any.ts';
import { grantsBeyond } from '../accounts/grants.ts';
import { type Call, CHANGING, interceptSystem, systemError } from './failing-system.ts';
import { type ScratchRoot, scratchRoot } from './scratch-root.ts';

const line = (number: number, comment = `key${number}`): string =>
  `${keyNumber(number).type} ${keyNumber(number).blob} ${comment}\n`;

/** A tree that runs, and a newer one with every kind of change. */
const before = (scratch: ScratchRoot): void => {
  scratch.declare('repos/stays', line(1));
  scratch.declare('repos/loses-a-key', line(1) + line(2));
  scratch.declare('repos/gone', line(3));
  scratch.declare('repos/narrows', line(4));
  scratch.declare('repos-appendonly/widens', line(5));
  scratch.declare('admins/demoted', line(6));
  scratch.declare('repos/options', line(7));
};
const after = (scratch: ScratchRoot): void => {
  scratch.declare('repos/loses-a-key', line(1));
  scratch.undeclare('repos/gone');
  renameSync(join(scratch.places.sshkeys, 'repos/narrows'), join(scratch.places.sshkeys, 'repos-appendonly/narrows'));
  renameSync(join(scratch.places.sshkeys, 'repos-appendonly/widens'), join(scratch.places.sshkeys, 'repos/widens'));
  renameSync(join(scratch.places.sshkeys, 'admins/demoted'), join(scratch.places.sshkeys, 'repos/demoted'));
  scratch.declare('repos/options', `from="10.0.0.1" ${line(7)}`);
  scratch.declare('repos/new', line(8));
  scratch.declare('admins/root2', line(9));
  scratch.declare('repos/adopted', line(10));
  mkdirSync(join(scratch.places.repos, 'adopted/data'), { recursive: true });
  writeFileSync(join(scratch.places.repos, 'adopted/data/1'), 'segment');
  for (const path of ['adopted', 'adopted/data', 'adopted/data/1'])
    chownSync(join(scratch.places.repos, path), 1000, 1000);
  writeFileSync(join(scratch.places.repos, 'gone/kept'), 'precious');
};

let scratch: ScratchRoot;
let pristine: string;
let had: State;
let wanted: State;
let finished: Record<string, string>;

const copy = (from: string, to: string): void => {
  rmSync(to, { recursive: true, force: true });
  execFileSync('cp', ['-a', from, to]);
};
const reset = (): void => copy(pristine, scratch.root);

beforeAll(async () => {
  scratch = scratchRoot();
  pristine = `${scratch.root}.pristine`;
  before(scratch);
  await scratch.pass();
  had = scratch.running();
  after(scratch);
  copy(scratch.root, pristine);
  expect((await scratch.pass()).failed).toBeNull();
  wanted = scratch.running();
  finished = scratch.owned();
});
afterAll(() => {
  scratch.remove();
  rmSync(pristine, { recursive: true, force: true });
});

/** Every login that is granted neither by what ran before nor by the tree. */
const neither = (state: State): string[] =>
  [...state.values()].flatMap((account) =>
    account.keys.flatMap((key) => {
      const one = stateOf([{ ...account, keys: [key] }]);
      return grantsBeyond(one, had).length > 0 && grantsBeyond(one, wanted).length > 0
        ? [`${account.name} as ${account.role}: ${key.comment}`]
        : [];
    }),
  );

const expectSoundFiles = (): void => {
  for (const [file, fields] of [
    ['passwd', 7],
    ['group', 4],
    ['shadow', 9],
  ] as const) {
    const text = readFileSync(join(scratch.places.extrausers, file), 'utf8');
    for (const each of text.split('\n').slice(0, -1)) expect(each.split(':')).toHaveLength(fields);
    expect(text === '' || text.endsWith('\n')).toBe(true);
  }
};

const expectDataKept = (): void => {
  expect(readFileSync(join(scratch.places.repos, 'gone/kept'), 'utf8')).toBe('precious');
  expect(readFileSync(join(scratch.places.repos, 'adopted/data/1'), 'utf8')).toBe('segment');
};

/** A file that could not be read the first time gets its number later. It does not matter which of the new numbers it gets. */
const anyNewUid = (owned: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(owned).map(([path, text]) => [path, text.replaceAll(/\b1000[678]\b/g, 'NEW')]));

const expectHealed = async (): Promise<void> => {
  const report = await scratch.pass();
  expect(report).toMatchObject({ failed: null, stopped: false });
  expect(anyNewUid(scratch.owned())).toEqual(anyNewUid(finished));
};

/** A pass of which the system calls are seen; whatever it throws is part of the experiment. */
const passWith = async (see: (call: Call, number: number) => void): Promise<number> => {
  let number = 0;
  const undo = interceptSystem((call) => {
    number += 1;
    see(call, number);
  });
  try {
    await scratch.pass();
  } catch {
    // The state on disk is what counts.
  } finally {
    undo();
  }
  return number;
};

/** Without these nothing is known of what is declared, or of what runs: the pass ends, and the scheduler soon tries again. */
const sayingWhoMayLogIn = (call: Call | null): boolean =>
  /\/sshkeys|\/etc\/|extrausers|authorized_keys$/.test(call?.path ?? '') || call?.name === 'readSync';

describe('a pass that ends', () => {
  it('before any of its calls leaves nothing wider than before or wanted, and the next one reaches the tree’s state', async () => {
    reset();
    const calls: number[] = [];
    await passWith((call, number) => {
      if (CHANGING.test(call.name)) calls.push(number);
    });
    expect(calls.length).toBeGreaterThan(30);
    for (const last of calls) {
      reset();
      await passWith((call, number) => {
        if (number >= last) throw systemError('EKILLED', call);
      });
      expect(neither(scratch.running()), `ended before call ${last}`).toEqual([]);
      expectSoundFiles();
      expectDataKept();
      await expectHealed();
    }
  });
});

describe('a process that is killed in a pass', () => {
  it.each([5, 20, 40, 60, 80])(
    'before its call %i leaves nothing wider than before or wanted, and the next pass reaches the tree’s state',
    async (last) => {
      reset();
      const script = join(import.meta.dirname, 'killed-pass.ts');
      const { signal, stderr } = spawnSync(process.execPath, [script, scratch.root, String(last)], {
        encoding: 'utf8',
      });
      expect(signal, stderr).toBe('SIGKILL');
      expect(neither(scratch.running())).toEqual([]);
      expectSoundFiles();
      expectDataKept();
      await expectHealed();
    },
  );
});

describe('a pass in which one call fails', () => {
  // Together these errors fail every call once. With FAULTS=all each error fails every call, which takes minutes.
  const step = process.env.FAULTS === 'all' ? 1 : 5;
  it.each([...['EACCES', 'ENOSPC', 'EIO', 'EROFS', 'EMFILE'].entries()])(
    'with error %i, %s, takes away all that is gone, and the next one heals',
    async (offset, code) => {
      reset();
      const total = await passWith(() => {});
      const delayed: string[] = [];
      for (let failing = 1 + (offset % step); failing <= total; failing += step) {
        reset();
        let failed: Call | null = null;
        await passWith((call, number) => {
          if (number !== failing) return;
          failed = call;
          throw systemError(code, call);
        });
        const running = scratch.running();
        expect(neither(running), `call ${failing} failed: ${JSON.stringify(failed)}`).toEqual([]);
        const kept = grantsBeyond(running, wanted);
        if (kept.length > 0 && !sayingWhoMayLogIn(failed))
          delayed.push(`call ${failing}, ${JSON.stringify(failed)}: still ${kept.join(', ')}`);
        expectSoundFiles();
        expectDataKept();
        await expectHealed();
      }
      expect(delayed).toEqual([]);
    },
    600_000,
  );
});

describe('a process that a pass starts', () => {
  it.each([
    ['ends with an error before it has done anything', 'exit 1'],
    ['ends with an error when it has done half', '/usr/bin/python3 "$@" >/dev/null; exit 1'],
    ['is killed', 'kill -KILL $$'],
    ['is killed when it has done all', '/usr/bin/python3 "$@"; kill -KILL $$'],
  ])('and that %s closes its account until the next pass heals', async (_how, script) => {
    reset();
    const folder = `${scratch.root}.bin`;
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'python3'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    vi.stubEnv('PATH', `${folder}:${process.env.PATH}`);
    try {
      const report = await scratch.pass();
      expect(report.findings.map(({ code, file }) => `${code} ${file}`)).toEqual(['repository-failed /repos/adopted']);
    } finally {
      vi.unstubAllEnvs();
      rmSync(folder, { recursive: true });
    }
    const running = scratch.running();
    expect(running.has('adopted' as AccountName)).toBe(false);
    expect(grantsBeyond(running, wanted)).toEqual([]);
    expectDataKept();
    await expectHealed();
  });
});

describe('a disk that stays full', () => {
  it.each([
    ['everywhere', ''],
    ['where the account database is', 'extrausers'],
    ['where the authorized keys are', 'authorized_keys'],
  ])(
    '%s delays no revocation: what cannot be narrowed is closed, and all heals once there is space',
    async (_where, part) => {
      reset();
      await passWith((call) => {
        const writes = call.name === 'openSync' && call.path.endsWith('.new');
        if (writes && call.path.includes(part)) throw systemError('ENOSPC', call);
      });
      expect(grantsBeyond(scratch.running(), wanted)).toEqual([]);
      expect(neither(scratch.running())).toEqual([]);
      expectSoundFiles();
      expectDataKept();
      await expectHealed();
    },
  );
});
