import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Declaration } from '../../src/accounts/declaration.ts';
import { createTreeReader } from '../../src/keys/tree.ts';
import { SAMPLE_KEYS } from './sample-keys.ts';

const FILES = 40;

let outer: string;
let root: string;
let read: () => Declaration;
let flapping: ChildProcess | undefined;

beforeEach(() => {
  outer = mkdtempSync(join(tmpdir(), 'flapping-'));
  root = join(outer, 'sshkeys');
  for (const folder of ['repos', 'repos-appendonly', 'admins']) mkdirSync(join(root, folder), { recursive: true });
  const reader = createTreeReader(root, '/sshkeys');
  const context = { systemNames: new Set<string>(), environmentKeys: '', now: new Date('2026-01-01') };
  read = () => reader(context);
});
afterEach(async () => {
  if (flapping && flapping.exitCode === null && flapping.signalCode === null) {
    const ended = once(flapping, 'exit');
    flapping.kill('SIGKILL');
    await ended;
  }
  flapping = undefined;
  rmSync(outer, { recursive: true, force: true });
});

/** Moves the folder away and back for ever. Each time it stays for a millisecond. */
const flap = async (path: string): Promise<void> => {
  const script = `
    const { renameSync } = require('node:fs');
    const stay = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    process.stdout.write('flapping');
    for (;;) for (const [from, to] of [[1, 2], [2, 1]]) { renameSync(process.argv[from], process.argv[to]); stay(); }`;
  flapping = spawn(process.execPath, ['-e', script, path, `${path}.away`], { stdio: ['ignore', 'pipe', 'inherit'] });
  if (flapping.stdout) await once(flapping.stdout, 'data');
};

describe('a folder that is moved away and back while it is read', () => {
  test.each([
    ['the role folder', 'repos', 'file'],
    ['the role folder, with links in it', 'repos', 'link'],
    ['the whole tree', '', 'file'],
    ['the whole tree, with links in it', '', 'link'],
  ])('%s, is either read as a whole or not at all', async (_what, part, kind) => {
    const links = join(root, 'repos/..data');
    mkdirSync(links);
    for (let number = 0; number < FILES; number += 1) {
      const file = kind === 'link' ? join(links, `web${number}`) : join(root, `repos/web${number}`);
      writeFileSync(file, `${SAMPLE_KEYS.ed25519}\n`);
      if (kind === 'link') symlinkSync(`..data/web${number}`, join(root, `repos/web${number}`));
    }
    expect(read().accounts).toHaveLength(FILES);
    await flap(join(root, part).replace(/\/$/, ''));
    const seen = new Set<string>();
    for (let reading = 0; reading < 400; reading += 1) {
      const { folders, accounts } = read();
      const granting = accounts.filter(({ keys, unreadable }) => keys.length === 1 && !unreadable).length;
      seen.add(`${folders.repo === 'read' ? 'read' : 'not read'}: ${accounts.length} files, ${granting} with a key`);
    }
    const right = [`not read: ${FILES} files, 0 with a key`, `read: ${FILES} files, ${FILES} with a key`];
    expect([...seen].filter((each) => !right.includes(each))).toEqual([]);
  });
});

describe('a folder that cannot be read any more', () => {
  test('keeps declaring the names that it had, without their keys, until it is back', () => {
    writeFileSync(join(root, 'repos/web01.pub'), `${SAMPLE_KEYS.ed25519}\n`);
    read();
    renameSync(join(root, 'repos'), join(root, '.away'));
    for (const _again of [1, 2]) {
      expect(read()).toMatchObject({
        folders: { repo: 'missing' },
        accounts: [{ name: 'web01', role: 'repo', file: '/sshkeys/repos/web01.pub', keys: [], unreadable: true }],
      });
    }
    mkdirSync(join(root, 'repos'));
    expect(read().accounts).toEqual([]);
    rmSync(join(root, 'repos'), { recursive: true });
    expect(read().accounts).toEqual([]);
  });
});
