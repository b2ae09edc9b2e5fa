import { describe, expect, test } from 'vitest';
import { renderLine } from '../../src/accounts/authorized-key-line.ts';
import { type KeyLine, parseKeyLine } from '../../src/keys/key-line.ts';
import { askSshKeygen } from './fuzz.ts';
import { SAMPLE_KEYS, type SampleName } from './sample-keys.ts';

const read = (line: string): KeyLine => parseKeyLine(line, { file: '/sshkeys/repos/web01', line: 7 });

const verdict = (line: string): string => {
  const found = read(line);
  return found.kind === 'finding' ? found.finding.code : found.kind;
};

const comment = (text: string): string | null => {
  const found = read(`${SAMPLE_KEYS.ed25519} ${text}`);
  return found.kind === 'key' ? found.key.comment : null;
};

const ACCEPTED: SampleName[] = [
  'ed25519',
  'rsa2048',
  'rsa4096',
  'ecdsa256',
  'ecdsa384',
  'ecdsa521',
  'skEd25519',
  'skEcdsa',
];

describe('a public key', () => {
  test.each(ACCEPTED)('of type %s is accepted, and written as ssh-keygen reads it', (name) => {
    const found = read(`${SAMPLE_KEYS[name]} me@laptop`);
    if (found.kind !== 'key') throw new Error(JSON.stringify(found));
    expect(found.key).toMatchObject({ comment: 'me@laptop', options: {}, file: '/sshkeys/repos/web01', line: 7 });
    expect(`${found.key.type} ${found.key.blob}`).toBe(SAMPLE_KEYS[name]);
    expect(askSshKeygen([renderLine(found.key)])[0]?.fingerprint).toBe(found.key.fingerprint);
  });

  test.each([
    ['rsa1024', 'weak-key'],
    ['dsa', 'dsa-key'],
    ['ed25519Certificate', 'certificate'],
    ['rsaCertificate', 'certificate'],
  ] as const)('%s is refused by name', (name, code) => {
    expect(verdict(SAMPLE_KEYS[name])).toBe(code);
  });

  test.each([
    ['ssh-mldsa44-ed25519', /OpenSSH 10\.6 does/],
    ['ssh-ed448', /ssh -Q key/],
    ['ssh-xmss@openssh.com', /ssh -Q key/],
  ])('of a type that only OpenSSH may know is named as that: %s', (type, who) => {
    const blob = Buffer.concat([Buffer.from([0, 0, 0, type.length]), Buffer.from(type), Buffer.from([0, 0, 0, 1, 7])]);
    for (const line of [
      `${type} ${blob.toString('base64')} me`,
      `from="10.0.0.1" ${type} ${blob.toString('base64')}`,
    ]) {
      const found = read(line);
      expect(found).toMatchObject({ finding: { code: 'unknown-key-type', message: expect.stringMatching(who) } });
      expect(found).toMatchObject({ finding: { message: expect.stringContaining(type) } });
    }
    // A word alone makes no type, nor does a blob of another one.
    expect(verdict(`${type} AAAA`)).toBe('malformed-key');
    expect(verdict(`${type}x ${blob.toString('base64')}`)).toBe('malformed-key');
  });

  test('stays one safe line whatever its comment is', () => {
    expect(comment('a\u001b[31mb\u202ec\u2028d')).toBe('a\\u{1b}[31mb\\u{202e}c\\u{2028}d');
    expect(comment('x\rssh-rsa AAAA')).toBe('x\\u{d}ssh-rsa AAAA');
    expect(comment('before\0after')).toBe('before');
    expect([...(comment('\u{1f511}'.repeat(500)) ?? '')]).toHaveLength(200);
    expect([...(comment('\u0007'.repeat(300)) ?? '')]).toHaveLength(200);
  });

  test('is read with blanks around it and a CR behind it', () => {
    expect(verdict(` \t${SAMPLE_KEYS.rsa2048}\r`)).toBe('key');
    expect(comment('me\r')).toBe('me');
  });

  test('that was cut, lengthened, or joined with the next is malformed', () => {
    expect(verdict(SAMPLE_KEYS.ed25519.slice(0, -4))).toBe('malformed-key');
    expect(verdict(`${SAMPLE_KEYS.ed25519}AAAA`)).toBe('malformed-key');
    expect(verdict(`${SAMPLE_KEYS.ed25519}${SAMPLE_KEYS.ed25519}`)).toBe('malformed-key');
    expect(verdict('ssh-ed25519')).toBe('malformed-key');
    expect(verdict(SAMPLE_KEYS.ed25519.split(' ')[1] ?? '')).toBe('malformed-key');
  });

  test('has exactly one blank behind its options, as ssh-keygen wants it', () => {
    expect(verdict(`verify-required ${SAMPLE_KEYS.skEd25519}`)).toBe('key');
    expect(read(`verify-required  ${SAMPLE_KEYS.skEd25519}`)).toMatchObject({
      finding: { code: 'malformed-key', remedy: 'write exactly one' },
    });
  });
});

describe('a line that is no key', () => {
  test('is blank, a comment or a directive', () => {
    for (const line of ['', ' \t', '\r', '# a comment', `# ${SAMPLE_KEYS.ed25519}`])
      expect(verdict(line)).toBe('blank');
    expect(read('# borgserver: quota=20G')).toEqual({
      kind: 'directive',
      mark: 'borgserver',
      word: 'quota',
      value: '20G',
    });
    expect(read('#borgserver:quota')).toEqual({ kind: 'directive', mark: 'borgserver', word: 'quota', value: '' });
  });

  test('is a private key wherever the header stands, but not in the comment of a public key', () => {
    expect(verdict('-----BEGIN OPENSSH PRIVATE KEY-----')).toBe('private-key');
    expect(verdict('  -----BEGIN RSA PRIVATE KEY-----\r')).toBe('private-key');
    expect(verdict('# -----BEGIN PRIVATE KEY-----')).toBe('private-key');
    expect(verdict('PuTTY-User-Key-File-3: ssh-ed25519')).toBe('private-key');
    expect(verdict(`${SAMPLE_KEYS.ed25519} -----BEGIN OPENSSH PRIVATE KEY-----`)).toBe('key');
  });

  test('shows nothing of itself but the name of an option', () => {
    const secret = 'c2VjcmV0';
    for (const line of [
      `command="${secret}" ${SAMPLE_KEYS.ed25519}`,
      `environment="TOKEN=${secret}" ${SAMPLE_KEYS.ed25519}`,
      `${secret}/${secret} ${SAMPLE_KEYS.ed25519}`,
      `ssh-ed25519 ${secret} ${secret}`,
      `${secret} ${secret}`,
      secret,
    ]) {
      expect(JSON.stringify(read(line))).not.toContain(secret);
    }
  });
});
