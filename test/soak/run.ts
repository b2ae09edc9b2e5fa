import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { type Access, NOBODY } from './access.ts';
import { chooseStep } from './choice.ts';
import { type Card, cardAt, HOST_FATES, RESTARTS } from './deck.ts';
import { diceAt, shuffled } from './dice.ts';
import { expectFates } from './fates.ts';
import { type Figures, type Growth, grown, growthOf } from './growth.ts';
import { EMPTY, KEYS, NAMES } from './key-tree.ts';
import { FAMILIAR, type Live } from './live-sessions.ts';
import { createLogReading } from './log-reading.ts';
import type { Login, Model, Step } from './model.ts';
import { play, TORN } from './play.ts';
import { openScene, type Scene } from './scene.ts';
import { lookWithoutZombies } from './server-processes.ts';
import { createHostFates } from './session-host.ts';
import { describeStep, findingsAround, inTrouble } from './story.ts';
import { expectIdentities, expectLogins } from './verification.ts';

/** How long a run is. So many steps show the same on a busy machine as on a quiet one. */
export type SoakLength = { readonly minutes: number } | { readonly steps: number };

export type SoakOptions = {
  readonly seed: number;
  readonly length: SoakLength;
  /** Gets a line for each step. */
  readonly say: (line: string) => void;
};

export type SoakResult = {
  readonly steps: number;
  readonly restarts: number;
  readonly logins: number;
  readonly sessionsEnded: number;
  /** How often the session host was killed, and how often it was replaced because borg had changed. A short run does not wait for that. */
  readonly hostsKilled: number;
  readonly hostsReplaced: number;
  /** Milliseconds until the server had taken up a change of which nobody told it, sorted. */
  readonly took: readonly number[];
  /** The growth of the daemon that lived longest, or null where none lived long enough to tell. */
  readonly growth: Growth | null;
};

/** A run this long has restarts in its first part only: growth shows only in one daemon that lives on. */
const LONG_MINUTES = 5;
const RESTLESS_PART = 0.35;
/** Steps after which a contradiction, or a folder that is away, is cured. */
const TROUBLE_STEPS = 3;
const STEPS_TO_LOOK = 4;
const MOST_CHANGED_LOGINS = 6;

/** Every pair of account and key, the stranger's too. */
const ALL_LOGINS: readonly Login[] = NAMES.flatMap((account) =>
  Array.from({ length: KEYS + 1 }, (_, key) => ({ account, key })),
);

/**
 * Plays steps against a real server, and holds every answer to the model.
 *
 * @throws Error with the seed, all steps so far and the end of the server's log in its message, at the first thing that is not as it must be
 */
export const soak = async ({ seed, length, say }: SoakOptions): Promise<SoakResult> => {
  const scene = await openScene();
  const story: string[] = [];
  const log = createLogReading(scene.server);
  const begun = performance.now();
  const tell = (line: string): void => {
    const told = `${((performance.now() - begun) / 1000).toFixed(1).padStart(7)} s  ${line}`;
    story.push(told);
    say(told);
  };
  /** Every session that was ever opened. */
  const live = new Map<number, Live>();
  try {
    return await run(scene, live, { seed, length, tell, log });
  } catch (error) {
    const found = error instanceof Error ? error.message : String(error);
    const parts = [`the soak with seed ${seed} failed: ${found}`, 'the steps:', ...story, 'the log:', log.tail()];
    throw new Error(parts.join('\n'), { cause: error });
  } finally {
    for (const { connection } of live.values()) connection.ssh.kill('SIGKILL');
    await scene.close();
  }
};

type Run = Pick<SoakOptions, 'seed' | 'length'> & {
  readonly tell: (line: string) => void;
  readonly log: ReturnType<typeof createLogReading>;
};

const run = async (scene: Scene, live: Map<number, Live>, { seed, length, tell, log }: Run): Promise<SoakResult> => {
  let model: Model = {
    tree: EMPTY,
    access: NOBODY,
    repositories: new Map(),
    folders: new Set(),
    uids: new Map(),
    sessions: [],
  };
  const explained = {
    findings: new Set([`conflicting-roles ${TORN}`]),
    sshdKilled: 0,
    hostKilled: 0,
    startsRefused: 0,
  };
  let figures: Figures = [];
  let longest: Figures = [];
  const took: number[] = [];
  let [logins, restarts, sessionsEnded, troubled, hostsReplaced] = [0, 0, 0, 0, 0];
  const host = createHostFates(scene.server);
  const hostKeys = readHostKeys(scene);
  const isLong = 'minutes' in length && length.minutes >= LONG_MINUTES;
  const begun = performance.now();
  let number = 0;
  /** Which part of the run is over. */
  const part = (): number =>
    'steps' in length ? number / length.steps : (performance.now() - begun) / (length.minutes * 60_000);

  const awaitHost = async (): Promise<void> => {
    if (!isLong || !(await host.replaced())) return;
    hostsReplaced += 1;
    figures = [];
  };

  const take = async (step: Step, number: number): Promise<void> => {
    tell(`${number} ${describeStep(step)}`);
    const before = model;
    const isOneOf = (cards: readonly Card[]): boolean => cards.some((card) => card === step.kind);
    const restarting = isOneOf(RESTARTS);
    if (step.kind === 'sshd dies') explained.sshdKilled += 1;
    if (step.kind === 'stop' && step.refused !== 'no') explained.startsRefused += 1;
    if (step.kind === 'host dies') explained.hostKilled += 1;
    // Without a session host the step would show nothing.
    if (restarting || isOneOf(HOST_FATES)) await awaitHost();
    if (step.kind === 'host dies') figures = [];
    const played = await play({ ...scene, live, host }, model, step, number);
    model = played.model;
    if (played.opened) live.set(played.opened.session.id, played.opened.live);
    if (played.took !== undefined) took.push(played.took);
    const dice = diceAt(seed, number + 1_000_000);
    const chosen = shuffled(dice, ALL_LOGINS).slice(0, 2);
    const changed = shuffled(dice, changedLogins(before.access, model.access)).slice(0, MOST_CHANGED_LOGINS);
    await expectLogins(scene, model.access, [...changed, ...chosen]);
    logins += changed.length + chosen.length;
    const ended = await expectFates(scene, model, live);
    sessionsEnded += ended.length;
    model = { ...model, sessions: model.sessions.filter((each) => !ended.includes(each)) };
    model = { ...model, uids: await expectIdentities(scene, model, played.report) };
    for (const each of findingsAround(step, before, model)) explained.findings.add(each);
    const unexplained = log.unexplained(explained);
    if (unexplained.length > 0) throw new Error(`lines of the log that nothing explains:\n${unexplained.join('\n')}`);
    if (restarting) {
      restarts += 1;
      figures = [];
      if (!isDeepStrictEqual(readHostKeys(scene), hostKeys)) throw new Error('the host keys have changed');
    }
    if (number % STEPS_TO_LOOK === 0) {
      const found = await lookWithoutZombies(scene.server);
      const before = figures.at(-1)?.host;
      const isAnother = before && before.pid !== found.host?.pid;
      if (isAnother && !host.isOutdated()) throw new Error('the session host has been replaced, or is gone');
      figures = isAnother ? [found] : [...figures, found];
    }
    if (figures.length > longest.length) longest = figures;
  };

  for (; part() < 1; number += 1) {
    const dice = diceAt(seed, number);
    troubled = inTrouble(model) ? troubled + 1 : 0;
    const isCalm = isLong && part() > RESTLESS_PART;
    if (isCalm) await awaitHost();
    const card = cardAt(seed, number, isCalm);
    const cure =
      troubled > TROUBLE_STEPS || RESTARTS.includes(card) ? chooseStep('cure', model, dice, Date.now(), number) : null;
    if (cure) await take(cure, number);
    const now = Date.now();
    const step = chooseStep(card, model, dice, now, number) ?? chooseStep('borg', model, dice, now, number);
    if (step) await take(step, number);
  }

  const cure = chooseStep('cure', model, diceAt(seed, number), Date.now(), number);
  if (cure) await take(cure, number);
  await take({ kind: 'stop', refused: 'no', watch: 'events' }, number);
  await expectLogins(scene, model.access, isLong ? ALL_LOGINS : []);
  await expectArchives(scene, model);
  const growth = growthOf(longest);
  const larger = growth && grown(growth);
  if (larger && larger.length > 0) throw new Error(`the server grows: ${larger.join('; ')}`);
  const hosts = { hostsKilled: explained.hostKilled, hostsReplaced };
  return { steps: number, restarts, logins, sessionsEnded, ...hosts, took: took.sort((a, b) => a - b), growth };
};

const readHostKeys = ({ server }: Scene): readonly string[] => {
  const folder = join(server.sshkeys, 'host');
  return readdirSync(folder)
    .filter((name) => name.startsWith('ssh_host_'))
    .sort()
    .map((name) => readFileSync(join(folder, name), 'utf8'));
};

const changedLogins = (before: Access, after: Access): readonly Login[] =>
  ALL_LOGINS.filter(({ account, key }) => before.get(account)?.keys.get(key) !== after.get(account)?.keys.get(key));

/** Every repository is sound and has the archives that it should have, whether an account opens it now or not. */
const expectArchives = async ({ server }: Scene, { repositories }: Model): Promise<void> => {
  if (repositories.size > 0) await server.exec(['check', '--repository-only', 'all']);
  for (const [path, archives] of repositories) {
    const { stdout } = await server.exec(['list', '--short', path], { env: FAMILIAR });
    const [found, wanted] = [stdout.split('\n').filter(Boolean).sort(), [...archives.keys()].sort()];
    if (!isDeepStrictEqual(found, wanted)) throw new Error(`${path} has archives ${found}, and should have ${wanted}`);
  }
};
