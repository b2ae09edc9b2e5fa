import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { State } from '../../src/accounts/account.ts';
import { failureInOneLine } from '../../src/failure.ts';
import { createPass, type PassRequest } from '../../src/reconcile/pass.ts';
import type { PassWorld } from '../../src/reconcile/pass-world.ts';
import { keyNumber } from '../accounts/any.ts';
import { grantsBeyond } from '../accounts/grants.ts';
import { type ScratchRoot, scratchRoot } from './scratch-root.ts';

const line = (number: number): string => `${keyNumber(number).type} ${keyNumber(number).blob} key${number}\n`;
const { signal } = new AbortController();

let scratch: ScratchRoot;
afterEach(() => scratch.remove());

const CALLS = ['observe', 'write', 'scanRepositories', 'readRegistry', 'writeRegistry', 'takenIds'] as const;
type CallName = (typeof CALLS)[number];

/** A server whose calls of the machine and of the world fail by name. It keeps what it last told about who may be connected. */
const failingServer = () => {
  scratch = scratchRoot();
  let now = 0;
  let access: State = new Map();
  let broken: ReadonlySet<CallName> = new Set();
  const world = scratch.world((state) => {
    access = state;
  });
  const breakable = <Args extends unknown[], Result>(name: CallName, call: (...args: Args) => Result) => {
    return (...args: Args): Result => {
      if (broken.has(name)) throw new Error(`EIO of ${name}`);
      return call(...args);
    };
  };
  const failing: PassWorld = {
    ...world,
    machine: {
      ...world.machine,
      observe: breakable('observe', world.machine.observe),
      write: breakable('write', world.machine.write),
    },
    scanRepositories: breakable('scanRepositories', world.scanRepositories),
    readRegistry: breakable('readRegistry', world.readRegistry),
    writeRegistry: breakable('writeRegistry', world.writeRegistry),
    takenIds: breakable('takenIds', world.takenIds),
    now: () => now,
  };
  const pass = createPass(failing);
  return {
    access: () => access,
    break: (...names: CallName[]): void => {
      broken = new Set(names);
    },
    wait: (): void => {
      now += 1000;
    },
    /** What went wrong, or null. */
    pass: async (occasion: PassRequest['occasion']): Promise<string | null> => {
      try {
        return (await pass({ occasion, dryRun: false }, signal)).failed;
      } catch (error) {
        return failureInOneLine(error);
      }
    },
  };
};

const pairs = CALLS.flatMap((first, index) => CALLS.slice(index).map((second) => [first, second] as const));

describe.each(['asked', 'periodic', 'event'] as const)('a pass (%s) in which two calls fail', (occasion) => {
  it.each(pairs)('%s and %s ends the sessions that have lost their right, tells both, and heals', async (...names) => {
    const server = failingServer();
    for (const [index, name] of ['stays', 'gone', 'narrowed'].entries())
      scratch.declare(`repos/${name}`, line(2 * index) + line(2 * index + 1));
    expect(await server.pass('asked')).toBeNull();
    scratch.undeclare('repos/gone');
    scratch.declare('repos/narrowed', line(4));
    // Once seen, a loss waits for its files to come to rest.
    if (occasion !== 'asked') expect(await server.pass(occasion)).toBeNull();
    server.wait();
    server.break(...names);
    const expectGone = (): void => {
      const told = [...server.access().values()].map(({ name, keys }) => `${name}: ${keys.map((key) => key.comment)}`);
      expect(told).toEqual(['narrowed: key4', 'stays: key0,key1']);
    };
    const failed = await server.pass(occasion);
    expectGone();
    // Without a look at the machine nothing else is tried.
    const seen = !names.includes('observe') || occasion === 'event';
    for (const name of names) {
      if (name === 'write' ? seen : name === 'scanRepositories')
        expect(failed).toContain(seen ? `EIO of ${name}` : 'EIO of observe');
    }
    // The files may still say otherwise. Nobody gets back in by that.
    await server.pass('event');
    expectGone();
    await server.pass('periodic');
    expectGone();
    server.break();
    expect(await server.pass('periodic')).toBeNull();
    expectGone();
    expect(grantsBeyond(scratch.running(), server.access())).toEqual([]);
    expect(grantsBeyond(server.access(), scratch.running())).toEqual([]);
  });
});

describe('an update in which the machine’s own accounts cannot be read', () => {
  it('still takes away, and gives nothing', async () => {
    scratch = scratchRoot();
    scratch.declare('repos/stays', line(1));
    scratch.declare('repos/gone', line(2));
    const pass = createPass(scratch.world());
    await pass({ occasion: 'asked', dryRun: false }, signal);
    scratch.undeclare('repos/gone');
    scratch.declare('repos/new', line(3));
    const passwd = join(scratch.places.etc, 'passwd');
    renameSync(passwd, `${passwd}.away`);
    await expect(pass({ occasion: 'asked', dryRun: false }, signal)).rejects.toThrow('ENOENT');
    expect([...scratch.running().keys()]).toEqual(['stays']);
    renameSync(`${passwd}.away`, passwd);
    expect((await pass({ occasion: 'asked', dryRun: false }, signal)).failed).toBeNull();
    expect([...scratch.running().keys()]).toEqual(['new', 'stays']);
  });
});
