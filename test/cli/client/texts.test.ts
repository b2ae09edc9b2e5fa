import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { mayCompact } from '../../../src/cli/client/connection.ts';
import { CLIENT_FORMATS } from '../../../src/cli/client/formats.ts';
import { renderClient } from '../../../src/cli/client.ts';
import { admin, adminWithRepository, appendOnly, KINDS, repo, severalRepositories } from './sample-facts.ts';

const kinds = Object.entries(KINDS);
const backups = kinds.filter(([, facts]) => facts.repository !== null);

/** What reads YAML, systemd's units and Nix; a bare Debian may lack them. */
beforeAll(() => {
  const python = spawnSync('/usr/bin/python3', ['-c', 'import yaml']).status === 0;
  const missing = [
    ...(python ? [] : ['python3-yaml']),
    ...(existsSync('/usr/bin/systemd-analyze') ? [] : ['systemd']),
    ...(existsSync('/usr/bin/nix-instantiate') ? [] : ['nix-bin']),
  ];
  if (missing.length > 0) {
    execFileSync(
      'apt-get',
      ['install', '-y', '-q', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=300', ...missing],
      {
        env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
      },
    );
  }
});

const read = (file: string, words: readonly string[], input: string): string =>
  execFileSync(file, words, { input, encoding: 'utf8' });

describe('whatever the format and the account', () => {
  const printed = kinds.flatMap(([kind, facts]) =>
    CLIENT_FORMATS.filter((format) => facts.repository !== null || !['borgmatic', 'nixos'].includes(format)).map(
      (format) => ({ kind, format, facts, text: renderClient(facts, format) }),
    ),
  );

  test.each(printed)('$format of $kind names every host key and is plain ASCII', ({ facts, text, format }) => {
    expect(text).toMatch(/^[ -~\n]+$/);
    for (const key of facts.hostKeys) if (format !== 'nixos') expect(text).toContain(` ${key}`);
  });

  test.each(printed.filter(({ facts }) => !mayCompact(facts)))(
    '$format of $kind has nothing that compacts',
    ({ text }) => {
      const lines = text.split('\n').filter((line) => !/^\s*#/.test(line));
      expect(lines.join('\n').replace(/skip_actions:\n {2}- "prune"\n {2}- "compact"/, '')).not.toMatch(/compact/);
    },
  );

  test.each(
    printed
      .filter(({ facts }) => !mayCompact(facts))
      .filter(({ format }) => !['ssh-config', 'known-hosts', 'env'].includes(format)),
  )('$format of $kind says what pruning means there', ({ text }) => expect(text).toMatch(/^#.*only marked/m));
});

describe('the shell text', () => {
  test.each(kinds)('of %s is understood by sh', (_, facts) => {
    expect(spawnSync('sh', ['-n'], { input: renderClient(facts, 'shell'), encoding: 'utf8' }).stderr).toBe('');
  });

  test.each(kinds)('of %s has comments that do nothing in a shell that runs them as commands', (_, facts) => {
    const comments = renderClient(facts, 'shell')
      .split('\n')
      .filter((line) => line.startsWith('#'));
    expect(comments.length).toBeGreaterThan(3);
    expect(comments.filter((line) => !/^#( [A-Za-z0-9_.,:/@-]+)+$/.test(line))).toEqual([]);
  });

  test('of an admin lets borg open repositories that it knows by the URL of another account, without asking', () => {
    expect(renderClient(admin, 'shell')).toContain('export BORG_RELOCATED_REPO_ACCESS_IS_OK=yes');
    expect(renderClient(repo, 'shell')).not.toContain('RELOCATED');
  });

  test('of an admin makes room in every append-only repository, and in no other', () => {
    expect(renderClient(admin, 'shell')).toContain('for repository in db01 db-2.example.org; do');
    expect(renderClient({ ...admin, appendOnly: [] }, 'shell')).not.toContain('prune --');
  });

  test('of an account with several repositories puts none into the account’s folder itself', () => {
    expect(renderClient(severalRepositories, 'shell')).toContain('/repos/web01.example.org/main');
  });
});

test('known-hosts has brackets only where ssh looks for them', () => {
  expect(renderClient(repo, 'known-hosts')).toMatch(/^\[backup\.example\.org\]:2222 ssh-ed25519 /);
  expect(renderClient(appendOnly, 'known-hosts')).toMatch(/^\[2001:db8::1\]:2222 ssh-ed25519 /);
  expect(renderClient(adminWithRepository, 'known-hosts')).toMatch(/^backup\.example\.org ssh-ed25519 /);
});

test.each(backups)('the borgmatic text of %s is YAML that says what is meant', (_, facts) => {
  const script = 'import json, sys, yaml; print(json.dumps(yaml.safe_load(sys.stdin)))';
  const parsed = JSON.parse(read('/usr/bin/python3', ['-c', script], renderClient(facts, 'borgmatic')));
  const address = facts.host.includes(':') ? `[${facts.host}]` : facts.host;
  expect(parsed).toMatchObject({
    repositories: [{ path: `ssh://${facts.account}@${address}:${facts.port}/repos/${facts.repository}` }],
    ssh_command: expect.stringContaining('StrictHostKeyChecking=yes'),
    archive_name_format: '{hostname}-{now}',
    match_archives: 'sh:{hostname}-[0-9][0-9][0-9][0-9]-*',
    ...(mayCompact(facts) ? { keep_daily: 7 } : { skip_actions: ['prune', 'compact'] }),
  });
});

test('the NixOS text is a module with one job and a known host for each key', () => {
  expect(renderClient(repo, 'nixos').split('\n').slice(1)).toEqual([
    '{',
    '  programs.ssh.knownHosts."[backup.example.org]:2222 ssh-ed25519" = {',
    '    hostNames = [ "[backup.example.org]:2222" ];',
    '    publicKey = "ssh-ed25519 AAAAC3Nz+/=";',
    '  };',
    '  programs.ssh.knownHosts."[backup.example.org]:2222 ssh-rsa" = {',
    '    hostNames = [ "[backup.example.org]:2222" ];',
    '    publicKey = "ssh-rsa AAAAB3Nz+/=";',
    '  };',
    '  services.borgbackup.jobs."web01.example.org" = {',
    '    paths = [ "/etc" "/home" "/root" ];',
    '    repo = "ssh://web01.example.org@backup.example.org:2222/repos/web01.example.org";',
    '    encryption.mode = "repokey-blake2";',
    '    encryption.passCommand = "cat /etc/borg/web01.example.org@backup.example.org-2222.passphrase";',
    '    environment.BORG_RSH = "ssh -i ~/.ssh/borg -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=yes -o ServerAliveInterval=10 -o ServerAliveCountMax=30";',
    '    compression = "zstd";',
    '    extraCreateArgs = "--exclude-caches";',
    '    startAt = "daily";',
    '    prune.keep = { daily = 7; weekly = 4; monthly = 6; };',
    '  };',
    '}',
  ]);
});

/** How nix-instantiate(1) ends, and what it says. It gets no store, so that it makes none. */
const parseNix = (input: string): string => {
  const { status, stderr } = spawnSync('nix-instantiate', ['--parse', '--store', 'dummy://', '-'], {
    ...{ input, encoding: 'utf8' },
    env: { ...process.env, HOME: '/nonexistent' },
  });
  return `${status} ${stderr.split('\n').filter((line) => line.includes('error'))}`;
};

test.each(backups)('the NixOS text of %s is Nix', (_, facts) => {
  expect(parseNix(renderClient(facts, 'nixos'))).toBe('0 ');
});

test('a NixOS text without one of its quotes or braces is refused', () => {
  const text = renderClient(repo, 'nixos');
  for (const wrong of [text.replace('"zstd"', '"zstd'), text.slice(0, -1), text.replace('"daily";', '"daily"')])
    expect(parseNix(wrong)).toMatch(/^1 .*error/);
});

describe('the systemd text', () => {
  /** Lays out the files as the text says, and has systemd judge its units. */
  const verify = (text: string): string => {
    const folder = mkdtempSync(join(tmpdir(), 'borgserver-units-'));
    try {
      const parts = [...text.matchAll(/^# (\/\S+)\n(.*?)(?=\n# \/|\n# systemctl|\n# No |$(?![\s\S]))/gms)];
      const units = parts.flatMap(([, path = '', content = '']) => {
        const unit = join(folder, path.split('/').at(-1) ?? '');
        writeFileSync(unit, `${content}\n`);
        return path.startsWith('/etc/systemd/system/') ? [unit] : [];
      });
      expect(units).toHaveLength(2);
      const judged = spawnSync('systemd-analyze', ['verify', '--man=no', ...units], { encoding: 'utf8' });
      const ours = judged.stderr.split('\n').filter((line) => line.includes(folder) || line.includes('borg-'));
      return `${judged.status} ${ours.join('\n')}`;
    } finally {
      rmSync(folder, { recursive: true });
    }
  };

  test.each(kinds)('of %s is accepted by systemd-analyze', (_, facts) => {
    expect(verify(renderClient(facts, 'systemd'))).toBe('0 ');
  });

  test('is refused with a mistake in it', () => {
    const wrong = renderClient(repo, 'systemd').replace('/usr/bin/borg create', 'borg/create');
    expect(verify(wrong)).not.toBe('0 ');
  });

  test('leaves no percent sign or dollar for systemd to expand', () => {
    const text = renderClient({ ...repo, host: 'h' }, 'systemd');
    expect(text.replaceAll(/^#.*$/gm, '')).not.toMatch(/[%$]/);
  });
});

test('a backup job is no format for an admin who names no repository', () => {
  for (const format of ['borgmatic', 'nixos'] as const)
    expect(() => renderClient(admin, format)).toThrowError(/no repository of its own/);
});
