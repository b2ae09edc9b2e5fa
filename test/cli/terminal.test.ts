import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findBorg } from '../../src/borg/interpreter.ts';
import { installLauncher } from '../../src/borg/launcher.ts';
import { controlSocket } from '../../src/daemon/control-client.ts';
import { startControlServer } from '../../src/daemon/control-server.ts';
import type { Preparing } from '../../src/daemon/prepare.ts';
import type { UpdateReply } from '../../src/daemon/protocol.ts';
import { type Places, placesBelow } from '../../src/places.ts';
import { runOnTerminal } from '../e2e/harness/terminal.ts';

let root: string;
let places: Places;
const env = { PATH: process.env.PATH, BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes' };
const here = (name: string): string => join(import.meta.dirname, name);
const node = (script: string, ...words: readonly string[]) => [process.execPath, here(script), root, ...words];
const lines = (shown: string): readonly string[] => stripVTControlCharacters(shown).trim().split('\r\n');

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'terminal-'));
  chmodSync(root, 0o755);
  places = placesBelow(root);
  mkdirSync(places.run, { recursive: true });
  mkdirSync(places.repos);
  await installLauncher(places.run, findBorg().python, here('../../image/borg-serve'));
  for (const [name, uid] of [
    ['db', 40_001],
    ['web01', 40_002],
  ] as const) {
    mkdirSync(join(places.repos, name));
    chownSync(join(places.repos, name), uid, uid);
    chmodSync(join(places.repos, name), 0o2770);
    await execa(process.execPath, node('run-borg.ts', 'init', '-e', 'none', name).slice(1), { stdin: 'ignore' });
  }
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

describe('borg on all repositories, on a terminal', () => {
  const HEADINGS = [
    '=== [........................] 1 of 2 db',
    '=== [############............] 2 of 2 web01',
    '=== [########################] 2 of 2 done; all right',
  ];

  test('shows a bar between what borg says, and none of borg’s lines is torn by it', async () => {
    const shown = lines((await runOnTerminal(node('run-borg.ts', 'info', 'all'), env)).stdout);
    expect(shown.filter((line) => line.startsWith('==='))).toEqual(HEADINGS);
    expect(shown.filter((line) => /^Repository ID: [0-9a-f]{64}$/.test(line))).toHaveLength(2);
  });

  test('is coloured, unless NO_COLOR is set', async () => {
    const check = node('run-borg.ts', 'check', '--repository-only', 'all');
    expect((await runOnTerminal(check, env)).stdout).toContain('=== \x1b[32m[####');
    const plain = await runOnTerminal(check, { ...env, NO_COLOR: '1' });
    expect(plain.stdout).not.toContain('\x1b');
    expect(lines(plain.stdout)).toEqual(HEADINGS);
  });

  test('stops at Ctrl-C and says how far it came', async () => {
    const running = runOnTerminal(
      node('run-borg.ts', 'with-lock', 'all', 'sh', '-c', 'echo ready; exec sleep 60'),
      env,
      {
        reject: false,
      },
    );
    const ready = Promise.withResolvers<void>();
    running.stdout?.on('data', (chunk) => String(chunk).includes('ready') && ready.resolve());
    await ready.promise;
    running.stdin?.write('\x03');
    const { stdout, exitCode } = await running;
    expect(exitCode).toBeGreaterThan(0);
    expect(lines(stdout).at(-1)).toMatch(/\r=== \[#{12}\.{12}\] 1 of 2 done; interrupted/);
    expect(stdout).not.toContain('web01');
  });
});

describe('update-borgusers, while a large tree is handed over', () => {
  const DONE: UpdateReply = {
    ...{ changes: [], findings: [], accounts: [], recent: [] },
    ...{ stopped: false, failed: null, recheckIn: null },
  };
  const STEPS: readonly (Preparing | null)[] = [
    null,
    { account: 'nas', entries: 120_000, done: 1, total: 4 },
    { account: 'web01', entries: 0, done: 3, total: 4 },
  ];

  /** A server that is done with the update once it has been asked how far it is, so often. */
  const busyServer = async () => {
    const asked = Promise.withResolvers<void>();
    const steps = [...STEPS];
    return startControlServer(controlSocket(places.run), async ({ command }) => {
      if (command === 'update') return asked.promise.then(() => DONE);
      if (command !== 'progress') throw new Error(command);
      const preparing = steps.shift() ?? null;
      if (steps.length === 0) asked.resolve();
      return { preparing };
    });
  };

  test('shows a bar on a terminal and takes it away', async () => {
    const server = await busyServer();
    const { stdout } = await runOnTerminal(node('run-update.ts'), env);
    server.close();
    expect(stdout).toContain('preparing repositories [######..................] 1/4 nas: 120000 files and folders');
    expect(stdout).toContain('\r\x1b[KNothing to change. 0 accounts, 0 keys.\r\n');
  });

  test('keeps standard output and short work free of it elsewhere', async () => {
    const server = await busyServer();
    const { stdout, stderr } = await execa(process.execPath, node('run-update.ts').slice(1), { stdin: 'ignore' });
    server.close();
    expect([stdout, stderr]).toEqual(['Nothing to change. 0 accounts, 0 keys.', '']);
  });
});
