import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findBorg } from '../../src/borg/interpreter.ts';
import { placesBelow } from '../../src/places.ts';
import { keepRepository, type Taking } from '../../src/snapshots/repository.ts';
import { snapshotsOf } from '../../src/snapshots/store.ts';
import { PROJECT } from '../e2e/harness/machine.ts';
import { median, type Row, timed } from './measure.ts';
import { heldDuring, makePattern, type Pattern, sizes } from './segments.ts';

const ROUNDS = 5;
const [UID, ADMINS] = [30_401, 30_001];
/** The first snapshot makes all segments root's. The next one finds them so. The last way is an operator's own: a tree of hard links under the lock. */
const WAYS = ['first', 'later', 'own'] as const;
const OWN = 'borg with-lock cp -al';

/** (i) Taking a snapshot: how long it holds borg's lock, for which a client would wait, and how long it takes. */
export const benchSnapshots = async (full: boolean): Promise<Row[]> => {
  // What is shipped with the program is looked for beside it.
  process.argv[1] = join(PROJECT, 'src/main.ts');
  const rows: Row[] = [];
  for (const size of sizes(full)) rows.push(...(await benchAt(size)));
  return rows;
};

type Found = { readonly held: number[]; readonly took: number[] };

const benchAt = async (size: number): Promise<Row[]> => {
  const pattern = await makePattern(size);
  const found = { first: nothing(), later: nothing(), own: nothing() };
  try {
    for (let round = 0; round < ROUNDS; round += 1) await takeEach(pattern, found);
  } finally {
    pattern.remove();
  }
  const row = (way: 'first' | 'later', what: 'held' | 'took', title: string): Row => ({
    ...{ part: 'i', what: `${way} snapshot of ${size} segments, ${title}`, unit: 'ms', ours: median(found[way][what]) },
    beside: { what: OWN, figure: median(found.own[what]) },
    note: `at most ${Math.round(Math.max(...found[way][what]))} ms`,
  });
  return (['first', 'later'] as const).flatMap((way) => [
    row(way, 'held', 'borg’s lock is held'),
    row(way, 'took', 'as a whole'),
  ]);
};

const nothing = (): Found => ({ held: [], took: [] });

const takeEach = async ({ copyTo, borg }: Pattern, found: Readonly<Record<(typeof WAYS)[number], Found>>) => {
  const root = mkdtempSync(join(tmpdir(), 'bench-snapshots-'));
  try {
    chmodSync(root, 0o755);
    const places = placesBelow(root);
    for (const folder of [places.repos, places.state]) mkdirSync(folder);
    const path = join(places.repos, 'web01');
    await copyTo(path, UID, UID);
    const taking: Taking = {
      ...{ places, python: findBorg().python, hostId: 'a-server@1', admins: ADMINS, now: Date.now },
      signal: new AbortController().signal,
    };
    const take = async (): Promise<void> => {
      const folder = snapshotsOf(places.state, 'web01') ?? '';
      const problem = await keepRepository(taking, 'web01', folder, { state: 'any', keep: Infinity });
      if (problem) throw new Error(problem.why);
    };
    const ways = {
      first: take,
      later: take,
      own: () => borg(['with-lock', path, 'cp', '-al', path, join(root, 'own')]),
    };
    for (const way of WAYS) {
      const act = async (): Promise<void> => void found[way].took.push(await timed(ways[way]));
      found[way].held.push(await heldDuring(path, act));
    }
  } finally {
    rmSync(root, { recursive: true });
  }
};
