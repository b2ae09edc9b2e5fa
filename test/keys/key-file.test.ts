import { describe, expect, test } from 'vitest';
import { findExpiredKeys, parseKeyFile } from '../../src/keys/key-file.ts';
import { SAMPLE_KEYS } from './sample-keys.ts';

const FILE = '/sshkeys/repos/web01';
const { ed25519, rsa2048, ecdsa256, rsa1024 } = SAMPLE_KEYS;

const read = (text: string | Uint8Array) => parseKeyFile(typeof text === 'string' ? Buffer.from(text) : text, FILE);

/** Code, line and key lines in short. */
const outline = (text: string | Uint8Array) => {
  const { keys, findings } = read(text);
  return { keys: keys.map(({ line }) => line), findings: findings.map(({ code, line }) => `${code}:${line ?? '-'}`) };
};

describe('a key file', () => {
  test('holds many keys, comments and blank lines, with CRLF and without a last line feed', () => {
    expect(outline(`# web\r\n\r\n${ed25519} a\r\n  ${rsa2048}\r\n${ecdsa256}`)).toEqual({
      keys: [3, 4, 5],
      findings: [],
    });
  });

  test('with a bad line keeps the others', () => {
    expect(outline(`${ed25519}\nnonsense\n${rsa1024}\ncommand="x" ${ecdsa256}\n${rsa2048}\n`)).toEqual({
      keys: [1, 5],
      findings: ['malformed-key:2', 'weak-key:3', 'forbidden-option:4'],
    });
  });

  test('without a valid key says so besides the reasons', () => {
    expect(outline('')).toEqual({ keys: [], findings: ['no-valid-key:-'] });
    expect(outline('# later\n')).toEqual({ keys: [], findings: ['no-valid-key:-'] });
    expect(outline(`${rsa1024}\n`)).toEqual({ keys: [], findings: ['weak-key:1', 'no-valid-key:-'] });
  });

  test('with a private key in it opens nothing, and shows nothing of it', () => {
    const text = `${ed25519}\n-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n-----END OPENSSH PRIVATE KEY-----\n${rsa2048}\n`;
    expect(outline(text)).toEqual({ keys: [], findings: ['private-key:2', 'no-valid-key:-'] });
    expect(JSON.stringify(read(text))).not.toContain('c2VjcmV0');
  });

  test('counts a key once that is in it twice: the first one', () => {
    const { keys, findings } = read(`from="10.0.0.1" ${ed25519}\n${ed25519}\n`);
    expect(keys).toMatchObject([{ line: 1, options: { from: '10.0.0.1' } }]);
    expect(findings).toMatchObject([{ severity: 'warning', code: 'duplicate-key', line: 2 }]);
  });

  test('that begins with a byte order mark is told so, since ssh does not find the key behind it', () => {
    expect(outline(`\ufeff${ed25519}\n${rsa2048}`)).toEqual({ keys: [2], findings: ['malformed-key:1'] });
    expect(read(`\ufeff${ed25519}\n`).findings[0]?.message).toContain('byte order mark');
    expect(outline(`\ufeff# comment\r\n${ed25519}`)).toEqual({ keys: [2], findings: [] });
  });

  test('in UTF-16 is one finding with its cure', () => {
    const little = Buffer.from(`\ufeff${ed25519}\r\n${rsa2048}\r\n`, 'utf16le');
    for (const bytes of [little, little.subarray(2), Buffer.from(little).swap16()]) {
      expect(outline(bytes)).toEqual({ keys: [], findings: ['malformed-key:-', 'no-valid-key:-'] });
      expect(read(bytes).findings[0]?.message).toContain('UTF-16');
    }
  });

  test('in which a line goes on behind a NUL or CR says that nothing there is read', () => {
    expect(outline(`${ed25519} a\0b\n`)).toEqual({ keys: [1], findings: ['malformed-key:1'] });
    expect(outline(`# old\r${ed25519}\r${rsa2048}\r`)).toEqual({
      keys: [],
      findings: ['malformed-key:1', 'no-valid-key:-'],
    });
    expect(read(`${ed25519} a\r${rsa2048}\n`)).toMatchObject({
      keys: [{ line: 1 }],
      findings: [{ severity: 'warning' }],
    });
  });

  test('that is no key file at all does not bury the other findings', () => {
    const { findings } = read(`x y\n`.repeat(5000));
    expect(findings).toHaveLength(22);
    expect(findings[20]?.message).toBe('4980 more lines are not right');
  });

  test('with a directive that the server does not know says so', () => {
    expect(outline(`# borgserver: qu\u001b[31mota=1\n${ed25519}\n`)).toEqual({
      keys: [2],
      findings: ['unknown-directive:1'],
    });
    expect(JSON.stringify(read('# borgserver: a\u001b[31m'))).not.toContain('\u001b');
  });
});

test('an expired key is kept and warned of from its very second on', () => {
  const { keys, findings } = read(`expiry-time="20300101Z" ${ed25519}\n`);
  expect(findings).toEqual([]);
  expect(findExpiredKeys(keys, new Date('2029-12-31T23:59:59Z'))).toEqual([]);
  expect(findExpiredKeys(keys, new Date('2030-01-01T00:00:00Z'))).toMatchObject([
    { severity: 'warning', code: 'expired-key', file: FILE, line: 1 },
  ]);
});
