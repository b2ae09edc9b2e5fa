import { join } from 'node:path';
import { contents } from '../e2e/harness/repository-files.ts';
import { reaches } from './access.ts';
import { digestOf, FAMILIAR, SMALL_CHUNKS, someText } from './live-sessions.ts';
import type { Model, Step } from './model.ts';
import { type Action, type Answer, after, answerTo, type Repositories, WORDS } from './repositories.ts';
import type { Scene } from './scene.ts';

type BorgStep = Extract<Step, { kind: 'borg' }>;

/** What borg must answer to this step. The step was chosen so that no key expires in between. */
export const expectedAnswer = (model: Model, step: BorgStep, letIn: boolean): Answer => {
  const grant = model.access.get(step.account);
  if (!letIn || !grant) return 'no login';
  if (!reaches(grant, step.account, step.path)) return 'path not allowed';
  return answerTo(model, step.path, step.action, step.archive, grant.role);
};

const wordsOf = (action: Action, url: string, archive: string): readonly string[] => {
  const words: Readonly<Record<Action, readonly string[]>> = {
    init: ['init', '--encryption', 'none', url],
    create: ['create', ...SMALL_CHUNKS, `${url}::${archive}`, '-'],
    list: ['list', '--short', url],
    extract: ['extract', '--stdout', `${url}::${archive}`],
    'delete archive': ['delete', `${url}::${archive}`],
    'delete repository': ['delete', url],
    compact: ['compact', '--threshold', '0', '--cleanup-commits', url],
  };
  return ['--lock-wait', '10', ...words[action]];
};

/** Runs borg as the step says, holds its answer to what it must be, and returns the repositories as they are after that. */
export const askBorg = async (scene: Scene, model: Model, step: BorgStep, letIn: boolean): Promise<Repositories> => {
  const { client, keys } = scene;
  const { account, path, action, archive } = step;
  const expected = expectedAnswer(model, step, letIn);
  const text = someText();
  const key = keys[step.key];
  const { exitCode, stdout, stderr } = await client.borg(wordsOf(action, client.url(account, path), archive), {
    ...{ env: FAMILIAR, reject: false, ...(key && { key }), ...(action === 'create' && { input: text }) },
  });
  const right = expected === 'done' ? exitCode === 0 : exitCode !== 0 && WORDS[expected].test(stderr);
  if (!right)
    throw new Error(`borg should have answered '${expected}', and ended with ${exitCode}:\n${stdout}${stderr}`);
  if (expected !== 'done') return model.repositories;
  const archives = model.repositories.get(path);
  if (action === 'list') {
    const [found, wanted] = [
      stdout.split('\n').filter(Boolean).sort().join(' '),
      [...(archives?.keys() ?? [])].sort().join(' '),
    ];
    if (found !== wanted) throw new Error(`the archives are '${found}', and should be '${wanted}'`);
  }
  if (action === 'extract' && digestOf(stdout) !== archives?.get(archive))
    throw new Error('what came back is not what was backed up');
  return after(model.repositories, path, action, archive, digestOf(text));
};

/** An append-only client backs up, deletes and compacts: what was there stays on the disk, byte for byte. */
export const undoNothing = async (
  scene: Scene,
  model: Model,
  step: Extract<Step, { kind: 'undo nothing' }>,
  fresh: string,
): Promise<Repositories> => {
  const run = (repositories: Repositories, action: Action, archive: string) =>
    askBorg(scene, { ...model, repositories }, { ...step, kind: 'borg', action, archive }, true);
  // The next transaction, whoever makes it, clears what an interrupted backup has left: that was never committed.
  const filled = await run(model.repositories, 'create', fresh);
  const data = join(scene.server.repos, step.path, 'data');
  const before = await contents(data);
  const less = await run(filled, 'delete archive', step.archive);
  await run(less, 'compact', step.archive);
  await run(less, 'list', step.archive);
  const now = await contents(data);
  const lost = [...before].filter(([file, digest]) => now.get(file) !== digest).map(([file]) => file);
  if (lost.length > 0) throw new Error(`an append-only client changed or removed ${lost.join(' ')}`);
  return less;
};
