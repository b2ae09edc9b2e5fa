import { createHash, randomBytes, randomInt } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa, type Options } from 'execa';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findBorg } from '../../src/borg/interpreter.ts';
import { type Places, placesBelow } from '../../src/places.ts';
import { requireSettings } from '../../src/settings.ts';
import { createKeeper } from '../../src/snapshots/keeper.ts';
import type { Keeper } from '../../src/snapshots/kept-states.ts';
import { exchange, folderForUndo, preparePutBack } from '../../src/snapshots/put-back.ts';
import { openReading } from '../../src/snapshots/reading.ts';
import { listSnapshots, type Snapshot, snapshotsOf } from '../../src/snapshots/store.ts';
import { PROJECT, until } from '../e2e/harness/machine.ts';
import { standingClock } from '../sessions/standing-clock.ts';
import { type Dice, diceAt, pick } from '../soak/dice.ts';

// A random walk: backups, deletions, compactions, attacks and undos, in any order. Each state of which there is a snapshot is found again, to the
// last byte. WALK_SEED takes the same walk again, WALK_STEPS takes a longer one.

const SEED = Number(process.env.WALK_SEED ?? randomInt(1_000_000));
const STEPS = Number(process.env.WALK_STEPS ?? 8);
/** More would only take longer. */
const MOST_ARCHIVES = 3;
const UID = 30_231;
const HOUR = 3_600_000;
const NAME = 'web01';
const means = { python: findBorg().python, hostId: 'a-server@1' };

// What is shipped with the program is looked for beside it.
process.argv[1] = join(PROJECT, 'src/main.ts');

/** What the archives have, by their names. Null: the repository is damaged, and nothing is promised of it. */
type Archives = ReadonlyMap<string, string> | null;

let root: string;
let places: Places;
let time: ReturnType<typeof standingClock>;
let keeper: Keeper;
/** What was done, in words: for whoever reads why it failed. */
let story: string[];
let present: Archives;
/** The state that each snapshot has, by its number. */
let states: Map<number, Archives>;

const repository = (): string => join(places.repos, NAME);
const source = () => ({ repos: places.repos, path: NAME, uid: UID, gid: UID, admins: 0 });
const snapshotsFolder = (): string => snapshotsOf(places.state, NAME) ?? '';
const digestOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** With a new cache each time: borg takes an older state of a repository that it remembers for an attack. */
const options = () => {
  const remembered = mkdtempSync(join(root, 'base-'));
  chownSync(remembered, UID, UID);
  const env = {
    ...{ LOGNAME: 'web', BORG_BASE_DIR: remembered, BORG_SELFTEST: 'disabled', BORG_HOST_ID: means.hostId },
    ...{ BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes', BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes' },
  };
  return { uid: UID, gid: UID, cwd: '/', env } satisfies Options;
};
const borgWith = <O extends Options>(more: O, ...words: string[]) =>
  execa('borg', ['--umask', '0007', ...words], { ...options(), ...more });
const borg = (...words: string[]) => borgWith({}, ...words);

const create = async (): Promise<void> => {
  const name = `a${story.length}`;
  const bytes = randomBytes(150_000);
  await borgWith({ input: bytes }, 'create', `${repository()}::${name}`, '-');
  present = new Map([...(present ?? []), [name, digestOf(bytes)]]);
};

const remove = async (dice: Dice): Promise<void> => {
  const [name = ''] = pick(dice, [...(present ?? [])]) ?? [];
  await borg('delete', repository(), name);
  present = new Map([...(present ?? [])].filter(([each]) => each !== name));
};

/** A backup that is ended in the middle, and leaves what is not committed. */
const interrupt = async (): Promise<void> => {
  const running = borgWith({ reject: false, stdin: 'pipe' }, 'create', `${repository()}::never`, '-');
  running.stdin?.on('error', () => {});
  running.stdin?.write(randomBytes(8_000_000));
  const files = `/proc/${running.pid}/fd`;
  const isWritten = (file: string): boolean => {
    try {
      return readlinkSync(join(files, file)).startsWith(join(repository(), 'data/'));
    } catch {
      return false;
    }
  };
  await until('it to write', () => readdirSync(files).some(isWritten));
  running.kill('SIGKILL');
  await running;
};

/** As its owner: a segment of the repository is another file now, or gone. */
const damage = async (dice: Dice): Promise<void> => {
  const all = readdirSync(join(repository(), 'data/0')).sort((a, b) => Number(a) - Number(b));
  const path = join(repository(), 'data/0', pick(dice, all.slice(0, 2), '0'));
  const length = readFileSync(path).length;
  unlinkSync(path);
  if (dice(2) === 0) {
    writeFileSync(path, randomBytes(length));
    chownSync(path, UID, UID);
  }
  present = null;
};

const destroy = async (): Promise<void> => {
  for (const each of readdirSync(repository())) rmSync(join(repository(), each), { recursive: true });
  await borg('init', '--encryption', 'none', repository());
  present = new Map();
};

const undo = async (dice: Dice): Promise<void> => {
  const whole = listSnapshots(snapshotsFolder()).filter(({ number }) => states.get(number));
  const to = pick(dice, whole);
  if (!to) return;
  const above = folderForUndo(places.state, NAME);
  expect(await preparePutBack(means, to, above, source())).toEqual({ segments: expect.any(Number) });
  const how = { above, snapshots: snapshotsFolder(), wait: 10, keepKey: false };
  expect(await exchange(means, source(), how, async () => true)).toEqual({ former: true });
  rmSync(above, { recursive: true });
  await keeper.wasPutBack(NAME, { number: to.number, transaction: null, former: null });
  story.push(`to ${to.number}`);
  present = states.get(to.number) ?? null;
};

/** What may be done in this state. */
const choices = (): readonly (readonly [what: string, work: (dice: Dice) => Promise<unknown>])[] => {
  if (present === null)
    return [
      ['undo', undo],
      ['destroy', destroy],
    ];
  return [
    ...(present.size < MOST_ARCHIVES
      ? ([
          ['create', create],
          ['create', create],
          ['interrupt', interrupt],
        ] as const)
      : []),
    ...(present.size > 0 ? ([['remove', remove]] as const) : []),
    ...([['compact', () => borg('compact', '--threshold', '0', repository())]] as const),
    ...([
      ['damage', damage],
      ['destroy', destroy],
      ['undo', undo],
    ] as const),
  ];
};

/** What a client finds in a snapshot that has seen nothing of the repository before. */
const contentOf = async (snapshot: Snapshot): Promise<Archives> => {
  const reading = await openReading(means, places.state, snapshot, source());
  if ('code' in reading) throw new Error(reading.why);
  try {
    await borg('check', reading.repository);
    const { stdout } = await borg('list', '--short', reading.repository);
    const found = new Map<string, string>();
    for (const each of stdout.split('\n').filter((line) => line !== '')) {
      const extracted = await borgWith({ encoding: 'buffer' }, 'extract', '--stdout', `${reading.repository}::${each}`);
      found.set(each, digestOf(extracted.stdout));
    }
    return found;
  } finally {
    expect(await reading.close()).toBe(true);
  }
};

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'walk-'));
  chmodSync(root, 0o755);
  places = placesBelow(root);
  for (const path of [places.repos, places.state, join(places.state, 'undo'), repository()])
    mkdirSync(path, { recursive: true });
  chownSync(repository(), UID, UID);
  chmodSync(repository(), 0o2770);
  [story, present, states, time] = [[], new Map(), new Map(), standingClock()];
  await borg('init', '--encryption', 'none', repository());
  keeper = createKeeper({
    ...{ ...means, places, settings: requireSettings({}), clock: time.clock },
    ...{ log: { info: () => {}, warn: () => {} }, connected: () => [] },
  });
});
afterEach(async () => {
  await keeper.close();
  rmSync(root, { recursive: true, force: true });
});

test(`each state of a random walk is found again (WALK_SEED=${SEED})`, async () => {
  for (let step = 0; step < STEPS; step += 1) {
    const dice = diceAt(SEED, step);
    // First a state to which it can go back.
    const [what, work] = (step > 0 && pick(dice, choices())) || ['create', create];
    story.push(what);
    await work(dice);
    await time.advance(HOUR / 4);
    await keeper.keep(NAME);
    const newest = listSnapshots(snapshotsFolder()).at(-1);
    if (newest && !(states.has(newest.number) && present === null)) states.set(newest.number, present);
  }
  const all = listSnapshots(snapshotsFolder());
  expect(
    [...states.values()].some((each) => each !== null),
    story.join(),
  ).toBe(true);
  for (const each of all) {
    const state = states.get(each.number);
    if (state) expect([story, await contentOf(each)]).toEqual([story, state]);
  }
});
