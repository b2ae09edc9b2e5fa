import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Account, stateOf } from '../../src/accounts/account.ts';
import type { AccountName } from '../../src/accounts/name.ts';
import { findBorg } from '../../src/borg/interpreter.ts';
import { type Places, placesBelow } from '../../src/places.ts';
import { requireSettings } from '../../src/settings.ts';
import type { About } from '../../src/snapshots/about.ts';
import { createKeeper } from '../../src/snapshots/keeper.ts';
import type { Keeper } from '../../src/snapshots/kept-states.ts';
import { readState } from '../../src/snapshots/repository-state.ts';
import { beginSnapshot, listSnapshots, snapshotsOf } from '../../src/snapshots/store.ts';
import { realClock } from '../../src/system/clock.ts';
import { names } from './key-tree.ts';
import { inTurn, median, type Row } from './measure.ts';

const ROUNDS = 5;
const REPOSITORIES = 10_000;
/** Segments of each. If somebody walked through them, those with more would cost more. */
const [MANY, ONE] = [20, 1];
const ACCOUNTS = names(REPOSITORIES);

/** (i) The CPU of one look at repositories of which none has changed. */
export const benchUnchanged = async (): Promise<Row[]> => {
  const root = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'bench-unchanged-'));
  const keepers = new Map([MANY, ONE].map((segments) => [segments, keeperOf(join(root, `${segments}`), segments)]));
  try {
    const cpu = await inTurn([MANY, ONE], ROUNDS, async (segments) => {
      const start = process.cpuUsage();
      const found = (await keepers.get(segments)?.keep(null)) ?? [];
      const { user, system } = process.cpuUsage(start);
      const kept = found.filter(({ result }) => result === 'kept').length;
      if (kept !== REPOSITORIES) throw new Error(`only ${kept} repositories were looked at`);
      return (user + system) / 1000;
    });
    if (ACCOUNTS.some((account) => countOf(placesBelow(join(root, `${MANY}`)), account) !== 1))
      throw new Error('a snapshot was taken, though nothing has changed');
    return [
      {
        ...{
          part: 'i',
          what: `look at ${REPOSITORIES} unchanged repositories, CPU`,
          unit: 'ms',
          ours: median(cpu(MANY)),
        },
        ...{ beside: { what: `with ${ONE} segment each, not ${MANY}`, figure: median(cpu(ONE)) } },
        // With a walk through the segments it was 1.7.
        goal: { of: 'ratio', limit: 1.4 },
      },
    ];
  } finally {
    for (const keeper of keepers.values()) await keeper.close();
    rmSync(root, { recursive: true });
  }
};

/** What the server looks at is as borg makes it. No byte in it is. */
const keeperOf = (root: string, segments: number): Keeper => {
  const places = placesBelow(root);
  for (const account of ACCOUNTS) {
    const repository = join(places.repos, account);
    mkdirSync(join(repository, 'data/0'), { recursive: true });
    for (const name of ['README', 'config', 'nonce', 'index.5', 'hints.5', 'integrity.5'])
      writeFileSync(join(repository, name), '');
    for (let segment = 0; segment < segments; segment += 1) writeFileSync(join(repository, `data/0/${segment}`), '');
    keep(places, account, segments);
  }
  const log = { info: () => {}, warn: () => {} };
  const means = { places, python: findBorg().python, hostId: 'a-server@1', settings: requireSettings({}) };
  const keeper = createKeeper({ ...means, log, clock: realClock });
  keeper.granted(stateOf(ACCOUNTS.map(accountNamed)));
  return keeper;
};

const keep = (places: Places, account: string, segments: number): void => {
  const about: About = {
    ...{ state: readState(places.repos, account) ?? '', keep: '14d', transaction: 5, segments, bytes: 0 },
    ...{ protected: true, olderHold: 0 },
  };
  beginSnapshot(snapshotsOf(places.state, account) ?? '', Date.now()).finish(about);
};

const countOf = ({ state }: Places, account: string): number => listSnapshots(snapshotsOf(state, account) ?? '').length;

const accountNamed = (name: string, index: number): Account => ({
  ...{ name: name as AccountName, role: 'repo', uid: 10_000 + index, keys: [] },
});
