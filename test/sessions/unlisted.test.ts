import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, expect, test } from 'vitest';
import { hasUnlisted } from '../../src/sessions/unlisted.ts';
import { PERL } from '../../src/system/perl.ts';

// What it is for, a process that no list ever shows, is tried in end-connection.test.ts.

/** Only this test uses this user id. */
const UID = 64_322;
const running: ChildProcess[] = [];
afterEach(() => {
  for (const each of running.splice(0)) each.kill('SIGKILL');
});

/** Resolves once the program has said something. */
const start = async (uid: number, file: string, ...words: readonly string[]): Promise<void> => {
  const child = spawn(file, words, { uid, cwd: '/', stdio: ['ignore', 'pipe', 'inherit'] });
  running.push(child);
  await once(child.stdout, 'data');
};

test('a user id without a process has none', async () => {
  expect(await hasUnlisted(UID)).toBe(false);
});

test('a process that runs is in the lists', async () => {
  await start(UID, '/bin/sh', '-c', 'echo ready; exec sleep 600');
  expect(await hasUnlisted(UID)).toBe(false);
});

test('neither does one count that has ended and that nobody reaps', async () => {
  const program = `
my $pid = fork() // die;
if (!$pid) { $> = $< = ${UID}; exit }
select undef, undef, undef, 0.01 until \`cat /proc/$pid/stat\` =~ /\\) Z /;
syswrite STDOUT, 'ready';
sleep 600;
`;
  await start(0, PERL, '-e', program);
  expect(await hasUnlisted(UID)).toBe(false);
});

test('many who ask at once about one user id share an answer, and who asks later gets a new one', async () => {
  const first = hasUnlisted(UID);
  expect(hasUnlisted(UID)).toBe(first);
  expect(hasUnlisted(UID + 1)).not.toBe(first);
  await first;
  expect(hasUnlisted(UID)).not.toBe(first);
});
