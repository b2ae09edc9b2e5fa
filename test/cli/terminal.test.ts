import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findBorg } from '../../src/borg/interpreter.ts';
import { installLauncher } from '../../src/borg/launcher.ts';
import { controlSocket } from '../../src/control/client.ts';
import type { UpdateReply } from '../../src/control/protocol.ts';
import { startControlServer } from '../../src/control/server.ts';
import { type Places, placesBelow } from '../../src/places.ts';
import type { Preparing } from '../../src/reconcile/prepare.ts';
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

describe('what a client chose, on an operator’s terminal', () => {
  // They set a title and a colour, delete the line above, are a control in one byte, and change the direction.
  const NAME = 'a\x1b]0;owned\x07b\x1b[31mc\x1b[1A\x1b[2Kd\u009be\u202ef\rg';
  const SHOWN = 'a\\u{1b}]0;owned\\u{7}b\\u{1b}[31mc\\u{1b}[1A\\u{1b}[2Kd\\u{9b}e\\u{202e}f\\u{d}g';
  const BYTES = Buffer.from(Uint8Array.from({ length: 70_000 }, (_, index) => index % 256));
  const borg = (...words: string[]) =>
    execa('borg', words, {
      ...{ uid: 40_002, gid: 40_002, cwd: join(root, 'documents'), input: BYTES },
      env: { ...env, LOGNAME: 'client', BORG_BASE_DIR: join(root, 'client'), BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes' },
    });

  beforeAll(async () => {
    for (const name of ['client', 'documents']) {
      mkdirSync(join(root, name));
      chownSync(join(root, name), 40_002, 40_002);
    }
    writeFileSync(join(root, 'documents/\x1b[32mgreen'), 'content');
    const repository = join(places.repos, 'web01');
    await borg('create', '--comment', `\x1b[35m${NAME}`, `${repository}::hostile`, '\x1b[32mgreen', '-');
    await borg('rename', `${repository}::hostile`, NAME);
  });

  test('is shown with its controls escaped, names, comments, paths and errors alike', async () => {
    for (const [words, expected] of [
      [['list', 'web01'], SHOWN],
      [['info', 'web01', '--last', '1'], `\\u{1b}[35m${SHOWN}`],
      [['list', `web01::${NAME}`], '\\u{1b}[32mgreen'],
      [['list', 'web01::gone\x1b[31m'], 'gone\\u{1b}[31m'],
      [['check', '-v', '--progress', 'web01'], SHOWN],
      [['prune', '--list', '--dry-run', '--keep-last', '1', 'web01'], SHOWN],
    ] as const) {
      const { stdout } = await runOnTerminal(node('run-borg.ts', ...words), env, { reject: false });
      expect(stdout, words[0]).toContain(expected);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what it is about
      expect(stdout, words[0]).not.toMatch(/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e]/);
    }
  });

  test('is written to a pipe byte for byte', async () => {
    const piped = (...words: string[]) =>
      execa(process.execPath, node('run-borg.ts', ...words).slice(1), { stdin: 'ignore', encoding: 'buffer' });
    expect(Buffer.from((await piped('list', '--short', 'web01')).stdout).toString()).toContain(NAME.slice(0, 20));
    const extracted = await piped('extract', '--stdout', `web01::${NAME}`, 'stdin');
    expect(Buffer.compare(Buffer.from(extracted.stdout), BYTES)).toBe(0);
  });

  test('is escaped in the content of a file, too', async () => {
    const { stdout } = await runOnTerminal(node('run-borg.ts', 'extract', '--stdout', `web01::${NAME}`, 'stdin'), env);
    expect(stdout).toContain('\\u{1b}');
    expect(stdout).toContain('\\x9b');
    expect(stdout).not.toContain('\x1b');
  });

  test('leaves a passphrase to be asked for, and the bar of --progress where it is', async () => {
    const folder = join(places.repos, 'db');
    rmSync(folder, { recursive: true });
    mkdirSync(folder);
    chownSync(folder, 40_001, 40_001);
    chmodSync(folder, 0o2770);
    await execa(process.execPath, node('run-borg.ts', 'init', '-e', 'repokey', 'db').slice(1), {
      ...{ stdin: 'ignore', env: { ...env, BORG_PASSPHRASE: 'borgserver' } },
    });
    const asking = runOnTerminal(node('run-borg.ts', 'info', 'db'), env, { reject: false });
    const asked = Promise.withResolvers<void>();
    asking.stdout?.on('data', (chunk) => String(chunk).includes('passphrase') && asked.resolve());
    await asked.promise;
    asking.stdin?.write('borgserver\r');
    expect(await asking).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('Repository ID:') });
    const { stdout } = await runOnTerminal(node('run-borg.ts', 'check', '--progress', 'web01'), env);
    expect(stdout).toMatch(/\rChecking segments|Checking segments [^\r\n]*\r/);
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

  /** A server whose update ends once it has been asked for each of the steps how far it is. */
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

  test('shows none elsewhere: standard output stays free of it', async () => {
    const server = await busyServer();
    const { stdout, stderr } = await execa(process.execPath, node('run-update.ts').slice(1), { stdin: 'ignore' });
    server.close();
    expect([stdout, stderr]).toEqual(['Nothing to change. 0 accounts, 0 keys.', '']);
  });
});
