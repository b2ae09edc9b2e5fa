import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { keyNumber } from '../accounts/any.ts';
import { interceptSystem, systemError } from './failing-system.ts';
import { type ScratchRoot, scratchRoot } from './scratch-root.ts';

let scratch: ScratchRoot;
afterEach(() => scratch.remove());

const key = `${keyNumber(1).type} ${keyNumber(1).blob}\n`;
const quota = (size: string): string => `# borgserver: quota=${size}\n${key}`;
const account = () => [...scratch.running().values()].find(({ name }) => name === 'web01');
const passwd = () => readFileSync(join(scratch.places.extrausers, 'passwd'), 'utf8');

it('a stopped update gives an account no larger quota than its role’s, which counted until then', async () => {
  scratch = scratchRoot({ REPO_SERVE_EXTRA_ARGS: '--storage-quota 20G' });
  scratch.declare('repos/web01', key);
  await scratch.pass();
  scratch.declare('repos/web01', quota('50G'));
  for (const folder of ['repos', 'repos-appendonly']) scratch.declare(`${folder}/twice`, key);
  expect(await scratch.pass()).toMatchObject({ stopped: true });
  expect(account()).toMatchObject({ quota: 20e9 });
  scratch.undeclare('repos-appendonly/twice');
  await scratch.pass();
  expect(account()).toMatchObject({ quota: 50e9 });
});

it('an account whose smaller quota or lost sub-repositories cannot be written is closed', async () => {
  for (const [before, after] of [
    [quota('50G'), quota('20G')],
    [`# borgserver: sub-repositories=yes\n${key}`, key],
  ] as const) {
    scratch = scratchRoot();
    scratch.declare('repos/web01', before);
    await scratch.pass();
    const written = passwd();
    scratch.declare('repos/web01', after);
    const undo = interceptSystem((call) => {
      if (call.name === 'renameSync' && call.path.endsWith('.passwd.new')) throw systemError('ENOSPC', call);
    });
    try {
      expect((await scratch.pass()).failed).toContain('the account database could not be written');
    } finally {
      undo();
    }
    expect(passwd()).toBe(written);
    expect(account()).toBeUndefined();
    expect((await scratch.pass()).failed).toBeNull();
    expect(account()).toBeDefined();
  }
});

it('a pass reports the directives in force, and a second one has nothing to do', async () => {
  scratch = scratchRoot();
  scratch.declare('repos-appendonly/web01', `# borgserver: sub-repositories=yes\n${quota('1.5T')}`);
  await scratch.pass();
  const { accounts, changes } = await scratch.pass();
  expect(changes).toEqual([]);
  expect(accounts).toEqual([
    { name: 'web01', role: 'append-only', uid: 10_000, keys: 1, quota: 1.5e12, subRepositories: true },
  ]);
});
