import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { keyNumber } from '../accounts/any.ts';
import { type Call, interceptSystem, systemError } from './failing-system.ts';
import { type ScratchRoot, scratchRoot } from './scratch-root.ts';

const line = (number: number): string => `${keyNumber(number).type} ${keyNumber(number).blob} key${number}\n`;

let scratch: ScratchRoot;
beforeEach(() => {
  scratch = scratchRoot();
});
afterEach(() => scratch.remove());

/** One pass in which there is no space for what the condition names. */
const passWithout = async (space: (call: Call) => boolean) => {
  const undo = interceptSystem((call) => {
    if (call.name === 'writeSync' && space(call)) throw systemError('ENOSPC', call);
  });
  try {
    return await scratch.pass();
  } finally {
    undo();
  }
};
const granted = (): string[] =>
  [...scratch.running().values()].map(({ name, keys }) => `${name}: ${keys.map(({ comment }) => comment).join(' ')}`);

describe('no space for authorized keys', () => {
  beforeEach(async () => {
    for (const name of ['gains', 'loses', 'stays']) scratch.declare(`repos/${name}`, line(1) + line(2));
    await scratch.pass();
    scratch.declare('repos/gains', line(1) + line(2) + line(3));
    scratch.declare('repos/loses', line(1));
  });
  const keys = (call: Call): boolean => call.path.includes('authorized_keys');

  it('takes nothing from accounts that keep their keys, closes one that cannot be narrowed, and says what is full and what helps', async () => {
    const { failed } = await passWithout(keys);
    expect(granted()).toEqual(['gains: key1 key2', 'stays: key1 key2']);
    expect(failed).toMatch(/file: .*authorized_keys\/gains, found: ENOSPC.*remedy: free space there/);
  });

  it('does not keep out a narrower file: removing the wider one makes the space', async () => {
    await passWithout((call) => keys(call) && existsSync(join(scratch.places.run, 'authorized_keys/loses')));
    expect(granted()).toEqual(['gains: key1 key2', 'loses: key1', 'stays: key1 key2']);
  });
});

describe('no space for the record of uids', () => {
  it('keeps out a new account, and no other; the others lose and get their keys as ever', async () => {
    for (const name of ['gains', 'gone', 'mode']) scratch.declare(`repos/${name}`, line(1));
    await scratch.pass();
    scratch.declare('repos/gains', line(1) + line(2));
    scratch.undeclare('repos/gone');
    scratch.declare('repos/new', line(3));
    const report = await passWithout((call) => call.path.includes('identities.json'));
    expect(granted()).toEqual(['gains: key1 key2', 'mode: key1']);
    expect(report.failed).toBeNull();
    expect(report.findings.map(({ code, file }) => `${code} ${file}`)).toEqual([
      'repository-failed /repos/.borgserver/identities.json',
      'repository-failed /repos/new',
    ]);
    expect(report.findings[0]?.message).toMatch(/ENOSPC.*no new account/);
    expect(existsSync(join(scratch.places.repos, 'new'))).toBe(false);
    expect((await scratch.pass()).findings).toEqual([]);
    expect(granted()).toEqual(['gains: key1 key2', 'mode: key1', 'new: key3']);
  });

  it('is told as a full disk, pass after pass, and not as something that somebody else has written', async () => {
    scratch.declare('admins/boss', line(1));
    await scratch.pass();
    scratch.declare('repos/new', line(3));
    const [, second] = [
      await passWithout((call) => call.path.includes('identities.json')),
      await passWithout((call) => call.path.includes('identities.json')),
    ];
    expect(second.changes).toEqual([]);
    expect(second.findings.map(({ file }) => file)).toEqual(['/repos/.borgserver/identities.json', '/repos/new']);
  });
});
