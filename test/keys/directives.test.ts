import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseKeyFile } from '../../src/keys/key-file.ts';
import { createTreeReader } from '../../src/keys/tree.ts';
import { SAMPLE_KEYS } from './sample-keys.ts';

const { ed25519 } = SAMPLE_KEYS;

const read = (...lines: readonly string[]) => {
  const { findings, quota, subRepositories, doubtful } = parseKeyFile(
    Buffer.from([...lines, ed25519, ''].join('\n')),
    '/f',
  );
  return { quota, subRepositories, doubtful, findings: findings.map(({ code, line }) => `${code}:${line ?? '-'}`) };
};

describe('a directive in a key file', () => {
  it('sets the quota, as borg writes sizes', () => {
    expect(read('# borgserver: quota=50G')).toEqual({ quota: 50e9, findings: [] });
    expect(read('#borgserver:\tquota = 1.5T \r')).toEqual({ quota: 1.5e12, findings: [] });
  });

  it('lets the account have several repositories', () => {
    expect(read('# borgserver: sub-repositories=yes')).toEqual({ subRepositories: true, findings: [] });
    expect(read('# borgserver: sub-repositories=no')).toEqual({ findings: [] });
  });

  it.each([
    'quota=',
    'quota',
    'quota=50GB',
    'quota=5g',
    'quota=-1',
    'quota=1M',
    'quota=1e12',
    'quota=99999P',
    'quota=50G --append-only',
    "quota=50G'; id",
    'quota=50G\u0000x',
    'quota=５０G',
    'sub-repositories',
    'sub-repositories=true',
    'sub-repositories=yes yes',
  ])('%j counts for nothing and is told', (text) => {
    const { quota, subRepositories, doubtful, findings } = read(`# borgserver: ${text}`);
    if (!text.includes('\0')) expect({ quota, subRepositories, doubtful }).toEqual({ doubtful: true });
    expect(findings.length).toBeGreaterThan(0);
  });

  it.each(['quotas=50G', 'Quota=50G', '__proto__=x', 'constructor', '=50G', ''])('%j is unknown', (text) => {
    expect(read(`# borgserver: ${text}`)).toEqual({ doubtful: true, findings: ['unknown-directive:1'] });
  });

  it.each(['Borgserver', 'BORGSERVER', 'borgServer'])(
    'is not taken for a mere comment where it begins with %s',
    (mark) => {
      expect(read(`# ${mark}: quota=50G`)).toEqual({ doubtful: true, findings: ['unknown-directive:1'] });
    },
  );

  it('given twice with two values is told, and the narrower counts, in any order', () => {
    for (const [a, b] of [
      ['50G', '20G'],
      ['20G', '50G'],
    ])
      expect(read(`# borgserver: quota=${a}`, `# borgserver: quota=${b}`)).toEqual({
        ...{ quota: 20e9, doubtful: true, findings: ['bad-directive:2'] },
      });
    expect(read('# borgserver: sub-repositories=no', '# borgserver: sub-repositories=yes')).toEqual({
      ...{ doubtful: true, findings: ['bad-directive:2'] },
    });
    expect(read('# borgserver: quota=20G', '# borgserver: quota=20000M')).toEqual({ quota: 20e9, findings: [] });
  });

  it('that a byte order mark hides leaves the quota in doubt', () => {
    expect(read('\ufeff# borgserver: quota=50G')).toEqual({ doubtful: true, findings: ['malformed-key:1'] });
  });

  it('shows nothing that a terminal would obey', () => {
    const { findings } = parseKeyFile(Buffer.from('# borgserver: quota=\u001b[2J\n# borgserver: \u202ex\n'), '/f');
    const text = findings.map(({ message, remedy }) => message + remedy).join();
    expect(text).not.toContain('\u001b');
    expect(text).not.toContain('\u202e');
  });
});

it('means nothing for an admin, in a file or in BORG_SSHKEYS', () => {
  const root = mkdtempSync(join(tmpdir(), 'borgserver-'));
  try {
    for (const folder of ['repos', 'repos-appendonly', 'admins', 'host']) mkdirSync(join(root, folder));
    const text = `# borgserver: quota=50G\n# borgserver: sub-repositories=yes\n${ed25519}\n`;
    writeFileSync(join(root, 'admins/alice'), text);
    writeFileSync(join(root, 'repos/web01'), text);
    const { accounts, findings } = createTreeReader(
      root,
      '/sshkeys',
    )({
      systemNames: new Set(),
      environmentKeys: text,
      now: new Date(),
    });
    expect(findings.map(({ code, file, line }) => `${code} ${file}:${line}`)).toEqual([
      'bad-directive /sshkeys/admins/alice:1',
      'bad-directive BORG_SSHKEYS:1',
    ]);
    const told = accounts.map(({ name, quota, subRepositories }) => ({ name, quota, subRepositories }));
    expect(told.sort((a, b) => (a.name < b.name ? -1 : 1))).toEqual([
      { name: 'alice' },
      { name: 'borg' },
      { name: 'web01', quota: 50e9, subRepositories: true },
    ]);
  } finally {
    rmSync(root, { recursive: true });
  }
});
