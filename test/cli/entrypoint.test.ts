import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { decideEntrypoint } from '../../src/cli/entrypoint.ts';
import { readSshdWords } from '../../src/cli/sshd-words.ts';

const programs: Readonly<Record<string, string>> = {
  sshd: '/usr/sbin/sshd',
  borg: '/usr/bin/borg',
  bash: '/bin/bash',
  mount: '/bin/mount',
};
const decide = (...words: string[]) => decideEntrypoint(words, (word) => programs[word] ?? null);

describe('the entry point', () => {
  test('takes sshd for the server, although it is a program', () => {
    expect(decide('sshd', '-D', '-e')).toEqual({ kind: 'server', words: ['-D', '-e'] });
  });
  test('never runs borg itself: borg is a command of the server', () => {
    expect(decide('borg', 'list', 'web01')).toEqual({ kind: 'borg', words: ['list', 'web01'] });
    expect(decide('borg')).toEqual({ kind: 'borg', words: [] });
  });
  test('runs any other program as it is', () => {
    expect(decide('bash', '-c', 'id')).toEqual({ kind: 'exec', file: '/bin/bash', args: ['-c', 'id'] });
    expect(decide('mount')).toEqual({ kind: 'exec', file: '/bin/mount', args: [] });
  });
  test('takes everything else for a borg command', () => {
    expect(decide('list', 'web01')).toEqual({ kind: 'borg', words: ['list', 'web01'] });
    expect(decide('--version')).toEqual({ kind: 'borg', words: ['--version'] });
    expect(decide()).toEqual({ kind: 'borg', words: [] });
  });
  test('is replaced by the program: the same process and exit code, and signals as from a shell', async () => {
    const script = `
      import { runEntrypoint } from ${JSON.stringify(`${import.meta.dirname}/../../src/cli/entrypoint.ts`)};
      import { PLACES } from ${JSON.stringify(`${import.meta.dirname}/../../src/places.ts`)};
      console.log(process.pid);
      await runEntrypoint(['sh', '-c', 'echo $$; grep SigIgn /proc/self/status; exit 7'], PLACES);`;
    const { stdout, exitCode } = await execa(process.execPath, ['--input-type=module', '-e', script], {
      reject: false,
    });
    const [node, shell, ignored] = stdout.split('\n');
    expect(exitCode).toBe(7);
    expect(shell).toBe(node);
    expect(ignored).toMatch(/^SigIgn:\s0+$/);
  });
});

describe("sshd's arguments", () => {
  const read = (line: string) => readSshdWords(line.split(' ').filter(Boolean));
  test.each([
    ['', {}],
    ['-D -e', {}],
    ['-De', {}],
    ['-p 2022', { SSH_PORT: '2022' }],
    ['-Dep2022', { SSH_PORT: '2022' }],
    ['-o LogLevel=debug', { SSH_LOG_LEVEL: 'DEBUG' }],
    ['-ologlevel=VERBOSE -D', { SSH_LOG_LEVEL: 'VERBOSE' }],
  ])('%j is taken', (line, overrides) => expect(read(line)).toEqual({ overrides }));
  test('an option may be set apart by a blank', () => {
    expect(readSshdWords(['-o', 'LogLevel INFO'])).toEqual({ overrides: { SSH_LOG_LEVEL: 'INFO' } });
  });
  test.each([
    ['-f /etc/x', '-f'],
    ['-Ddp22', '-d'],
    ['-o PermitRootLogin=yes', 'PermitRootLogin'],
    ['-o LogLevel=', 'LogLevel'],
    ['-p', '-p needs a value'],
    ['--help', '--help'],
    ['web01', 'web01'],
  ])('%j is refused by its name', (line, name) => {
    expect(read(line)).toEqual({ problems: expect.arrayContaining([expect.stringContaining(name)]) });
  });
});
