import { execa } from 'execa';
import { expect, test } from 'vitest';
import { requireSettings } from '../../src/settings.ts';
import { renderSshdConfig, type SshdConfigInput } from '../../src/sshd/config.ts';
import { readForcedCommand } from '../../src/sshd/session-client.ts';
import { coldCommand } from '../../src/sshd/session-roles.ts';
import { renderSessionTerms } from '../../src/sshd/session-terms.ts';

const sessions = {
  places: { run: '/run/borgserver', repos: '/repos', extrausers: '/var/lib/extrausers' },
  settings: requireSettings({}),
  box: 'required',
  serveArguments: { repo: ['--storage-quota=20G'], 'append-only': ["--info=it's"], admin: [] },
} as const;

const config = (client: SshdConfigInput['client']) => {
  const { main, repositories } = renderSshdConfig({
    ...sessions,
    client,
    hostKeys: ['/run/borgserver/host_key'],
    hostId: 'borgserver@4711',
    address: 'backup.example.org:2022',
    python: '/usr/bin/python3',
    launcher: '/run/borgserver/borg-serve',
    memory: 8e9,
    supported: new Set(),
    version: 'OpenSSH_10.0p1',
    penalties: [],
  });
  return `${repositories}${main}`.split('\n').flatMap((line) => /^ +ForceCommand (exec .*)/.exec(line)?.[1] ?? []);
};

/** The words that a shell makes of a command without its `exec`. */
const wordsOf = async (command: string): Promise<readonly string[]> => {
  const env = { USER: 'web01', SSH_CONNECTION: '192.0.2.1 1024 192.0.2.2 22', PATH: '/usr/bin:/bin' };
  const shown = command.replace(/^exec/, String.raw`printf '%s\0'`);
  const { stdout } = await execa('/bin/sh', ['-c', shown], { env, extendEnv: false });
  return stdout.split('\0').slice(0, -1);
};

const client = { perl: '/usr/bin/perl', program: '/run/borgserver/session-client', sendmsg: 46 };

test('a forced command hands the session over, and has the command of the cold start as one word', async () => {
  const [cold, hosted] = [config(null), config(client)];
  expect(hosted).toHaveLength(5);
  const groups = ['borg-appendonly', 'borg-appendonly-sub', 'borg-repo', 'borg-repo-sub', 'borg-admin'];
  for (const [index, command] of hosted.entries()) {
    const door = `/run/borgserver/sessions/${groups[index]}/door`;
    expect(await wordsOf(command)).toEqual([client.perl, client.program, '46', door, 'web01', cold[index]]);
  }
});

test('the host has the words of each role that the cold start has, in the order of sshd’s blocks', async () => {
  const terms = JSON.parse(renderSessionTerms(sessions));
  const cold = config(null);
  expect(terms.roles.map(({ group }: { group: string }) => group)).toEqual([
    ...['borg-appendonly', 'borg-appendonly-sub', 'borg-repo', 'borg-repo-sub', 'borg-admin'],
  ]);
  for (const [index, role] of terms.roles.entries()) {
    expect(coldCommand('/usr/bin/python3', '/run/borgserver/borg-serve', role)).toBe(cold[index]);
    const [, , , , , ...words] = await wordsOf(cold[index] ?? '');
    expect(words).toEqual(role.words.map((word: string) => word.replace('$USER', 'web01')));
  }
});

test('the host has the group of the accounts only if they share a user id', () => {
  const shared = { ...sessions, settings: requireSettings({ IDENTITIES: 'shared', PUID: '1000', PGID: '1001' }) };
  expect(JSON.parse(renderSessionTerms(sessions))).toMatchObject({ sharedGid: null, adminGid: 1000 });
  expect(JSON.parse(renderSessionTerms(shared))).toMatchObject({ sharedGid: 1001, adminGid: 1001 });
});

test('a forced command is read back: its door, and what starts cold', () => {
  for (const [index, command] of config(client).entries()) {
    const { door, cold } = readForcedCommand(command);
    expect(door).toMatch(/^\/run\/borgserver\/sessions\/borg-[a-z-]+\/door$/);
    expect(cold).toBe(config(null)[index]);
    expect(readForcedCommand(cold)).toEqual({ door: null, cold });
  }
});
