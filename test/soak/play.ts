import { writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ROLES } from '../../src/accounts/role.ts';
import { admits, NOBODY, settle } from './access.ts';
import { askBorg, undoNothing } from './borg-answers.ts';
import { expectEnded } from './fates.ts';
import { placeOf } from './key-tree.ts';
import { type Live, openLive } from './live-sessions.ts';
import type { Model, OpenSession, Step } from './model.ts';
import type { Scene } from './scene.ts';
import { look, signalInside } from './server-processes.ts';
import type { HostFates } from './session-host.ts';
import { flap, moveFolder, writeEdit } from './tree-on-disk.ts';
import { askReport, expectReport, type Report, settled } from './verification.ts';

/** The result of a step. */
export type Played = {
  readonly model: Model;
  readonly opened?: { readonly session: OpenSession; readonly live: Live };
  /** Milliseconds until the server had taken up a change of which nobody told it. */
  readonly took?: number;
  /** What the server said of its accounts after it. */
  readonly report?: Report;
};

export type Stage = Scene & { readonly live: ReadonlyMap<number, Live>; readonly host: HostFates };

/** Does the step on the real server, and holds every answer to the model. */
export const play = async (stage: Stage, model: Model, step: Step, number: number): Promise<Played> => {
  switch (step.kind) {
    case 'edit':
      return edit(stage, model, step);
    case 'flap':
      return flicker(stage, model, step.path);
    case 'borg': {
      const letIn = admits(model.access, step.account, step.key, Date.now()) === 'yes';
      return { model: withFolders({ ...model, repositories: await askBorg(stage, model, step, letIn) }) };
    }
    case 'undo nothing':
      return { model: { ...model, repositories: await undoNothing(stage, model, step, `kept-${number}`) } };
    case 'check on the server':
      await stage.server.exec(['check', '--repository-only', step.path]);
      return { model };
    case 'open':
      return open(stage, model, step, number);
    case 'close':
    case 'finish':
      return step.kind === 'close' ? close(stage, model, step.id) : finish(stage, model, step.id);
    case 'end sessions':
      return endSessions(stage, model, step.selector);
    case 'host dies':
      await stage.host.kill();
      return { model };
    case 'borg changes':
      await stage.host.change();
      return { model };
    case 'stop':
    case 'power cut':
    case 'sshd dies':
    case 'daemon dies':
      return restart(stage, model, step);
  }
};

const edit = async (stage: Stage, model: Model, step: Extract<Step, { kind: 'edit' }>): Promise<Played> => {
  const daemon = step.told === 'by SIGHUP' ? (await look(stage.server)).daemon : 0;
  writeEdit(stage, model.tree, step);
  const begun = performance.now();
  const next = { ...model, tree: step.tree, access: settle(step.tree, model.access) };
  if (step.told === 'by SIGHUP') await signalInside(stage.server, daemon, 'HUP');
  const report = await (step.told === 'by update-borgusers' ? askReport(stage) : settled(stage));
  expectReport(report, next);
  const took = performance.now() - begun;
  return { model: withFolders(next), report, ...(step.told === 'by nobody' && { took }) };
};

/** A file must be gone for 200 ms to count as gone. */
const SURELY_SHORT_MS = 190;

/** A file that is away for a moment takes nothing from anybody. If it was away for longer, the sessions that may have ended are closed. */
const flicker = async (stage: Stage, model: Model, path: string): Promise<Played> => {
  const away = await flap(stage, path);
  expectReport(await settled(stage), model);
  const touched = model.sessions.filter(({ account }) => account === placeOf(path).name);
  if (away < SURELY_SHORT_MS) return { model };
  for (const { id } of touched) chosen(stage, model, id).live.connection.ssh.kill();
  return { model: without(model, touched) };
};

/** Accounts have folders. Admins make more folders with `borg init`, which go away with their repository. */
const withFolders = (model: Model): Model => {
  const tops = [...model.repositories.keys()].map((path) => path.split('/')[0] ?? '');
  const tenants = [...model.access].filter(([, { role }]) => role !== 'admin').map(([name]) => name);
  const kept = [...model.folders].filter((name) => model.uids.has(name));
  return { ...model, folders: new Set([...tenants, ...tops, ...kept]) };
};

const without = (model: Model, ended: readonly OpenSession[]): Model => ({
  ...model,
  sessions: model.sessions.filter((session) => !ended.includes(session)),
});

const open = async (
  stage: Stage,
  model: Model,
  { kind: _, ...step }: Extract<Step, { kind: 'open' }>,
  id: number,
): Promise<Played> => {
  const grant = model.access.get(step.account);
  if (!grant) throw new Error(`there is no ${step.account}`);
  const session = { ...step, id, role: grant.role, sub: grant.sub };
  const live = await openLive(stage, session);
  return { model: { ...model, sessions: [...model.sessions, session] }, opened: { session, live } };
};

const chosen = (stage: Stage, model: Model, id: number): { session: OpenSession; live: Live } => {
  const [session, live] = [model.sessions.find((each) => each.id === id), stage.live.get(id)];
  if (!session || !live) throw new Error(`there is no session ${id}`);
  return { session, live };
};

const close = async (stage: Stage, model: Model, id: number): Promise<Played> => {
  const { session, live } = chosen(stage, model, id);
  live.connection.ssh.kill();
  await live.connection.ended();
  return { model: without(model, [session]) };
};

const finish = async (stage: Stage, model: Model, id: number): Promise<Played> => {
  const { session, live } = chosen(stage, model, id);
  const { how, digest } = await live.finish();
  if (how.exitCode !== 0) throw new Error(`the backup of ${session.account} should have ended well: ${how.stderr}`);
  const archives = new Map(model.repositories.get(session.path)).set(session.archive, digest);
  const repositories = new Map(model.repositories).set(session.path, archives);
  return { model: { ...without(model, [session]), repositories } };
};

const endSessions = async (
  stage: Stage,
  model: Model,
  selector: Extract<Step, { kind: 'end sessions' }>['selector'],
): Promise<Played> => {
  const word = 'account' in selector ? selector.account : (stage.keys[selector.key]?.fingerprint ?? '');
  await stage.server.exec(['borgserver', 'sessions', 'end', word]);
  const ended = model.sessions.filter((each) =>
    'account' in selector ? each.account === selector.account : each.key === selector.key,
  );
  await Promise.all(ended.map((session) => expectEnded(chosen(stage, model, session.id).live, session)));
  return { model: without(model, ended) };
};

type Restart = Extract<Step, { kind: 'stop' | 'power cut' | 'sshd dies' | 'daemon dies' }>;

const restart = async (stage: Stage, model: Model, step: Restart): Promise<Played> => {
  const { server } = stage;
  switch (step.kind) {
    case 'stop':
      expectCode(await server.stop(), 0, 'the server that was told to stop');
      if (step.refused !== 'no') await refusedStart(stage, model, step.refused);
      break;
    case 'power cut':
      await server.kill();
      break;
    case 'sshd dies':
      await signalInside(server, (await look(server)).listener, 'KILL');
      expectCode(await server.ended(), 1, 'the server whose sshd died');
      break;
    case 'daemon dies':
      await signalInside(server, (await look(server)).daemon, 'KILL');
      await server.ended();
      break;
  }
  await Promise.all(model.sessions.map((session) => expectEnded(chosen(stage, model, session.id).live, session)));
  await server.start({ ...stage.settings, WATCH: step.watch });
  stage.host.forget();
  const next = { ...without(model, model.sessions), access: settle(model.tree, NOBODY) };
  const report = await askReport(stage, '--dry-run');
  expectReport(report, next);
  return { model: withFolders(next), report };
};

const expectCode = (found: number, wanted: number, who: string): void => {
  if (found !== wanted) throw new Error(`${who} ended with ${found}, and should have with ${wanted}`);
};

/** A start that must be refused: the tree contradicts itself, or a role folder is gone although it had accounts. */
const refusedStart = async (stage: Stage, model: Model, why: 'contradiction' | 'missing folder'): Promise<void> => {
  const { server, keys } = stage;
  const role = ROLES.find((each) => [...model.access.values()].some((grant) => grant.role === each));
  const missing = why === 'missing folder' && role;
  const torn = ['repos', 'admins'].map((folder) => join(server.sshkeys, folder, TORN));
  if (missing) moveFolder(stage, missing, true);
  else for (const file of torn) writeFileSync(file, `${keys[0]?.public}\n`);
  await server.start(stage.settings, { ready: false });
  if ((await server.ended()) === 0) throw new Error(`a start with a ${why} was not refused`);
  if (missing) moveFolder(stage, missing, false);
  else for (const file of torn) await rm(file);
};

/** The name of an account that contradicts itself at a start. At any other time there is no such account. */
export const TORN = 'torn';
