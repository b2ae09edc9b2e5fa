import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { requireSettings } from '../../src/settings.ts';
import { renderSshdConfig, SSHD_CONFIG_FILES, type SshdConfigInput } from '../../src/sshd/config.ts';
import { effectiveOptions } from '../../src/sshd/effective.ts';
import { keepaliveFor } from '../../src/sshd/keepalive.ts';
import { penaltyClasses } from '../../src/sshd/penalties.ts';
import { probeSshd, type SshdProbe } from '../../src/sshd/probe.ts';
import { testConfig } from '../../src/sshd/server.ts';

// Real programs on a machine that may be busy.
let folder: string;
let probe: SshdProbe;
let input: SshdConfigInput;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'borgserver-test-'));
  probe = await probeSshd();
  const hostKey = join(folder, 'ssh_host_ed25519_key');
  await execa('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', hostKey]);
  input = {
    places: { run: folder, repos: '/repos' },
    settings: requireSettings({}),
    hostKeys: [hostKey],
    hostId: 'borgserver@4711',
    address: '[2001:db8::1]:2022',
    python: '/usr/bin/python3',
    launcher: '/run/borgserver/borg-serve',
    memory: 8e9,
    box: 'required',
    client: null,
    serveArguments: { repo: ['--storage-quota=20G'], 'append-only': ['--progress'], admin: [] },
    supported: probe.supported,
    version: probe.version,
    penalties: probe.penalties,
  };
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const written = (changes: Partial<SshdConfigInput> = {}): string => {
  const files = renderSshdConfig({ ...input, ...changes });
  const path = (part: keyof typeof files) => join(folder, SSHD_CONFIG_FILES[part]);
  writeFileSync(path('repositories'), files.repositories);
  writeFileSync(path('main'), files.main);
  return path('main');
};

/** What sshd makes of it, in its own words. */
const effective = async (changes: Partial<SshdConfigInput> = {}): Promise<ReadonlyMap<string, string>> => {
  const { stdout } = await execa(probe.path, ['-T', '-C', 'user=root,host=h,addr=10.0.0.1', '-f', written(changes)]);
  return effectiveOptions(stdout);
};

test('the installed sshd takes the configuration, and answers equal input with equal bytes', async () => {
  await testConfig(probe.path, written());
  expect(renderSshdConfig(input)).toEqual(renderSshdConfig({ ...input }));
});

test('everything but a public key and borg is off', async () => {
  const options = await effective();
  for (const name of [
    'passwordauthentication',
    'kbdinteractiveauthentication',
    'hostbasedauthentication',
    'gssapiauthentication',
    'usepam',
    'permitrootlogin',
    'allowtcpforwarding',
    'allowstreamlocalforwarding',
    'allowagentforwarding',
    'x11forwarding',
    'gatewayports',
    'permittunnel',
    'permittty',
    'permituserrc',
    'permituserenvironment',
    'usedns',
    'printmotd',
  ]) {
    expect([name, options.get(name) ?? 'no']).toEqual([name, 'no']);
  }
  expect(options.get('disableforwarding')).toBe('yes');
  expect(options.get('authenticationmethods')).toBe('publickey');
  expect(options.get('strictmodes')).toBe('yes');
  expect(options.has('acceptenv')).toBe(false);
  expect(options.has('subsystem')).toBe(false);
  // 10.6 leaves out what is none.
  expect(options.get('authorizedkeysfile') ?? 'none').toBe('none');
  expect(options.get('forcecommand')).toBe("echo 'This account has no role on this server.' >&2; exit 1");
});

test('every role has its block, the narrowest first', () => {
  const { main, repositories } = renderSshdConfig(input);
  const keys = `AuthorizedKeysFile ${folder}/authorized_keys/%u`;
  const [outer, admin] = main.split('\nMatch Group ').slice(1);
  expect(outer?.trim().split('\n    ')).toEqual([
    'borg-repo,borg-appendonly,borg-repo-sub,borg-appendonly-sub',
    keys,
    `Include ${folder}/sshd_config.repositories`,
  ]);
  const blocks = [...repositories.split('\nMatch Group ').slice(1), admin ?? ''];
  expect(blocks.map((block) => block.trim().split('\n    '))).toEqual([
    [
      'borg-appendonly',
      'ForceCommand exec /usr/bin/python3 -I /run/borgserver/borg-serve --session "$SSH_CONNECTION" --account "$USER" --sessions 50 --memory auto --min-free auto --box required -- serve --umask 0007 --restrict-to-repository "/repos/$USER" --append-only --progress',
    ],
    [
      'borg-appendonly-sub',
      'ForceCommand exec /usr/bin/python3 -I /run/borgserver/borg-serve --session "$SSH_CONNECTION" --account "$USER" --sessions 50 --memory auto --min-free auto --box required --repositories 1000 -- serve --umask 0007 --restrict-to-path "/repos/$USER" --append-only --progress',
    ],
    [
      'borg-repo',
      'ForceCommand exec /usr/bin/python3 -I /run/borgserver/borg-serve --session "$SSH_CONNECTION" --account "$USER" --sessions 50 --memory auto --min-free auto --box required -- serve --umask 0007 --restrict-to-repository "/repos/$USER" --storage-quota=20G',
    ],
    [
      'borg-repo-sub',
      'ForceCommand exec /usr/bin/python3 -I /run/borgserver/borg-serve --session "$SSH_CONNECTION" --account "$USER" --sessions 50 --memory auto --min-free auto --box required --repositories 1000 -- serve --umask 0007 --restrict-to-path "/repos/$USER" --storage-quota=20G',
    ],
    [
      'borg-admin',
      'ForceCommand exec /usr/bin/python3 -I /run/borgserver/borg-serve --session "$SSH_CONNECTION" --account "$USER" --sessions 50 --memory auto --min-free auto --box required -- serve --umask 0007 --restrict-to-path /repos',
      keys,
    ],
  ]);
});

test('every session is told its limits, before the words that are borg’s', () => {
  const settings = requireSettings({
    SESSIONS_PER_ACCOUNT: '7',
    SESSION_MEMORY: '512M',
    REPOSITORIES_PER_ACCOUNT: '3',
    MIN_FREE: '5G',
  });
  const { main, repositories } = renderSshdConfig({ ...input, settings });
  const commands = `${main}${repositories}`.split('\n').filter((line) => line.includes('ForceCommand exec'));
  expect(commands).toHaveLength(5);
  const ofSubRepositories = commands.filter((command) => command.includes('--restrict-to-path "/repos/$USER"'));
  expect(ofSubRepositories).toHaveLength(2);
  for (const command of commands) {
    const more = ofSubRepositories.includes(command) ? ' --repositories 3' : '';
    expect(command).toContain(
      ` --account "$USER" --sessions 7 --memory 512000000 --min-free 5000000000 --box required${more} -- serve `,
    );
  }
});

test('where the file with the roles of repositories is missing, nobody gets more', async () => {
  const path = written();
  rmSync(join(folder, SSHD_CONFIG_FILES.repositories));
  const { stdout } = await execa(probe.path, ['-T', '-C', 'user=root,host=h,addr=10.0.0.1', '-f', path]);
  expect(effectiveOptions(stdout).get('forcecommand')).toBe(
    "echo 'This account has no role on this server.' >&2; exit 1",
  );
});

test('sshd hands a quoted word on as it stands', async () => {
  const options = await effective({ serveArguments: { ...input.serveArguments, admin: ["--debug-topic=it's #1"] } });
  expect(options.get('forcecommand')).toBeDefined();
  await testConfig(
    probe.path,
    written({ serveArguments: { ...input.serveArguments, admin: ["--debug-topic=it's #1"] } }),
  );
});

test('all of the environment is in the one SetEnv that counts', async () => {
  const { main: config } = renderSshdConfig({ ...input, timeZone: 'Europe/Berlin' });
  expect(config.match(/^SetEnv .*/gm)).toEqual([
    'SetEnv BORG_BASE_DIR=/repos BORG_HOST_ID=borgserver@4711 BORGSERVER_ADDRESS=[2001:db8::1]:2022 BORG_SELFTEST=disabled TZ=Europe/Berlin',
  ]);
  for (const timeZone of [
    '',
    ':/etc/localtime',
    '/etc/passwd',
    '../x',
    'UTC\nPermitRootLogin yes',
    'UTC"',
    undefined,
  ]) {
    expect(renderSshdConfig({ ...input, timeZone })).toEqual(renderSshdConfig(input));
  }
});

describe('settings', () => {
  test('reach sshd', async () => {
    const settings = requireSettings({
      SSH_PORT: '2222',
      CLIENT_ALIVE_INTERVAL: '7',
      CLIENT_ALIVE_COUNT_MAX: '3',
      LOGIN_GRACE_TIME: '11',
      MAX_STARTUPS: '99',
    });
    const options = await effective({ settings });
    expect(options.get('port')).toBe('2222');
    for (const [name, value] of keepaliveFor(settings, probe.version))
      expect(options.get(name.toLowerCase())).toBe(String(value));
    expect(options.get('logingracetime')).toBe('11');
    expect(options.get('maxstartups')).toMatch(/^99/);
    expect(options.get('persourcemaxstartups')).toBe('49');
    expect(options.get('persourcenetblocksize')).toBe('32:64');
    expect((await effective({ memory: 900e6 })).get('maxstartups')).toMatch(/^225/);
    expect((await effective({ settings, ports: [22, 2022] })).get('port')).toBe('2022');
  });

  test.each([
    ['QUIET', 'VERBOSE'],
    ['INFO', 'VERBOSE'],
    ['VERBOSE', 'VERBOSE'],
    ['DEBUG3', 'DEBUG3'],
  ])('never make the log less than sessions need: %s', (SSH_LOG_LEVEL, level) => {
    expect(renderSshdConfig({ ...input, settings: requireSettings({ SSH_LOG_LEVEL }) }).main).toContain(
      `\nLogLevel ${level}\n`,
    );
  });

  test('say who is punished, where sshd can', () => {
    const supported = new Set(['PerSourcePenalties'] as const);
    const penalties = ['authfail', 'noauth'];
    const line = (PER_SOURCE_PENALTIES?: string) =>
      renderSshdConfig({
        ...input,
        supported,
        penalties,
        settings: requireSettings({ PER_SOURCE_PENALTIES }),
      }).main.match(/^PerSourcePenalties.*/m)?.[0];
    expect(line()).toBe('PerSourcePenalties authfail:0 noauth:0');
    expect(line('none')).toBe('PerSourcePenalties no');
    expect(line('default')).toBeUndefined();
    expect(renderSshdConfig({ ...input, supported: new Set() }).main).not.toMatch(
      /PerSourcePenalties|GSSAPI|Kerberos|DebianBanner|Unused/,
    );
  });

  test('have the installed sshd shut nobody out for wrong keys or accounts that are gone', async () => {
    const classes = (found: ReadonlyMap<string, string>) => penaltyClasses(found.get('persourcepenalties') ?? '');
    const found = await effective();
    expect(classes(found)).toEqual(probe.penalties);
    const seconds = new Map(
      (found.get('persourcepenalties') ?? '')
        .split(' ')
        .map((word) => [word.split(':')[0], Number(word.split(':')[1])]),
    );
    const harmless = ['authfail', 'noauth', 'invaliduser'].filter((name) => seconds.has(name));
    expect(harmless.map((name) => [name, seconds.get(name)])).toEqual(harmless.map((name) => [name, 0]));
    expect(harmless.length > 0).toBe(probe.supported.has('PerSourcePenalties'));
  });
});

test.each([
  ['a path', { launcher: '/run/a b' }],
  ['a token', { places: { run: '/run/%h', repos: '/repos' } }],
  ['a host id', { hostId: 'x\nPermitRootLogin yes' }],
  ['a shell', { python: '/usr/bin/python3;id' }],
  ['a repository root', { places: { run: '/run', repos: '/$(id)' } }],
  ['an address', { listenAddresses: ['::1 x'] }],
  ['a public address', { address: 'a b:22' }],
  ['a port', { ports: [Number.NaN] }],
  ['a word', { serveArguments: { repo: ['a\nForceCommand sh'], 'append-only': [], admin: [] } }],
] as const)('%s that could be read as something else is refused', (_, changes) => {
  expect(() => renderSshdConfig({ ...input, ...changes })).toThrow();
});

test('a configuration that sshd refuses is refused with its words', async () => {
  const path = written();
  writeFileSync(path, 'NoSuchOption yes\n');
  await expect(testConfig(probe.path, path)).rejects.toThrow(
    expect.objectContaining({
      cause: expect.objectContaining({ code: 'bad-sshd-config', found: expect.stringContaining('NoSuchOption') }),
    }),
  );
});

describe('the probe', () => {
  test('names the version, and only options that this sshd takes', async () => {
    expect(probe.version).toMatch(/^OpenSSH_\d+\.\d+/);
    const version = Number(/\d+\.\d+/.exec(probe.version)?.[0]);
    expect(probe.supported.has('PerSourcePenalties')).toBe(version >= 9.8);
    expect(probe.penalties.includes('authfail')).toBe(version >= 9.8);
    expect(probe.penalties.includes('invaliduser')).toBe(version >= 10.3);
    expect(probe.supported.has('RequiredRSASize')).toBe(version >= 9.1);
  });

  test('says so where there is no sshd to be used', async () => {
    writeFileSync(join(folder, 'sshd'), '#!/bin/sh\necho dropbear >&2\n', { mode: 0o755 });
    await expect(probeSshd(folder)).rejects.toThrow(
      expect.objectContaining({ cause: expect.objectContaining({ code: 'no-sshd' }) }),
    );
  });
});
