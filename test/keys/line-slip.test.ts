import { describe, expect, test } from 'vitest';
import { parseEnvironmentKeys } from '../../src/keys/environment-keys.ts';
import { parseKeyFile } from '../../src/keys/key-file.ts';
import { costOf } from '../cost.ts';
import { SAMPLE_KEYS } from './sample-keys.ts';

const { ed25519, rsa2048, ecdsa256, skEd25519 } = SAMPLE_KEYS;

const read = (text: string) => {
  const { keys, findings } = parseKeyFile(Buffer.from(text), '/sshkeys/repos/web01');
  return {
    keys: keys.map(({ type, line }) => `${type}:${line}`),
    findings: findings.flatMap(({ code, line, message }) => (code === 'no-valid-key' ? [] : [`${line} ${message}`])),
  };
};

describe('two keys on one line', () => {
  test.each([
    ['with a blank between them', `${ed25519} me@laptop ${rsa2048} you`],
    ['with nothing between them', `${ed25519} me@laptop${rsa2048} you`],
    ['with a semicolon', `${ed25519} me;${skEd25519}`],
    ['with a comma, which is none in a file', `${ed25519} me,${ecdsa256}`],
    ['with options before the second', `from="10.0.0.1" ${ed25519} me from="10.0.0.1" ${rsa2048}`],
  ])('%s count as the first one, and are an error', (_how, line) => {
    expect(read(`# ours\n${line}\n`)).toEqual({
      keys: ['ssh-ed25519:2'],
      findings: ['2 2 keys on one line; only the first counts, and the rest is its comment'],
    });
  });

  test('with a written-out line break between them are told as that', () => {
    for (const broken of ['\\n', '\\r\\n']) {
      expect(read(`${ed25519} me${broken}${rsa2048} you`)).toMatchObject({
        keys: ['ssh-ed25519:1'],
        findings: [expect.stringContaining(`with a written-out ${broken} between them`)],
      });
      expect(read(`${ed25519}${broken}${rsa2048}`)).toMatchObject({
        keys: [],
        findings: [expect.stringMatching(/^1 2 keys on one line, with a written-out .* none of them counts$/)],
      });
    }
    expect(parseEnvironmentKeys(`${ed25519} a\\n${rsa2048} b,${ecdsa256}`)).toMatchObject({
      keys: [{ type: 'ssh-ed25519' }, { type: 'ecdsa-sha2-nistp256', line: 2 }],
      findings: [
        {
          severity: 'error',
          code: 'malformed-key',
          file: 'BORG_SSHKEYS',
          line: 1,
          remedy: expect.stringContaining('comma'),
        },
      ],
    });
  });

  test('with nothing between their blobs are told as that, too', () => {
    expect(read(`${ed25519}${rsa2048}`).findings).toEqual(['1 2 keys on one line; none of them counts']);
  });

  test('a written-out line break beside a single key is named', () => {
    for (const line of [`${ed25519}\\n`, `\\n${ed25519}`, `${rsa2048}\\r\\n`])
      expect(read(line)).toMatchObject({ keys: [], findings: [expect.stringContaining('written-out')] });
  });

  test('nothing is said of comments that only speak of keys, nor of what is commented out', () => {
    for (const line of [
      `${ed25519} was ssh-rsa AAAAB3 before`,
      `${ed25519} C:\\new\\ssh`,
      `${ed25519} \\n`,
      `# ${ed25519} ${rsa2048}\n${ed25519}`,
    ])
      expect(read(line).findings).toEqual([]);
  });

  test('what follows a NUL or a carriage return stays what it was', () => {
    expect(read(`${ed25519} me\r${rsa2048}\n`).findings).toEqual([expect.stringContaining('carriage return or NUL')]);
  });
});

describe('a key in quotes', () => {
  test.each([
    ['a file', `"${ed25519} me"`],
    ['single ones', `'${ed25519}'`],
    ['typographic ones', `“${ed25519} me”`],
    ['around options', `"from="10.0.0.1" ${ed25519}"`],
  ])('of %s is named as that, and is no key', (_what, line) => {
    expect(read(line)).toMatchObject({ keys: [], findings: [expect.stringContaining('quotation mark')] });
  });

  test('in BORG_SSHKEYS is named, also around a list', () => {
    for (const value of [
      `"${ed25519} me"`,
      `'${ed25519}'`,
      `"${ed25519} a,${rsa2048} b"`,
      `'${ed25519} a,${rsa2048} b'`,
      '""',
    ]) {
      const { findings } = parseEnvironmentKeys(value);
      expect(findings[0]).toMatchObject({
        code: 'malformed-key',
        message: expect.stringContaining('quotation mark'),
        line: 1,
      });
      expect(findings[0]?.remedy).toMatch(/--env-file/);
    }
  });

  test('does not hide a secret, nor an option that is refused', () => {
    expect(read(`"-----BEGIN OPENSSH PRIVATE KEY-----"`).findings).toEqual([expect.stringContaining('PRIVATE')]);
    expect(read(`command="a\\nssh-ed25519 b" ${ed25519}`).findings).toEqual([
      expect.stringContaining("the option 'command'"),
    ]);
  });
});

test('a line of a million characters costs no more than some lines of as many harmless ones', () => {
  const cost = (part: string): number => {
    const line = `${ed25519} ${part.repeat(1_000_000 / part.length)}`;
    return costOf(() => [line, `x ${line}`].map(read));
  };
  const harmless = Math.max(1, cost('x'));
  // Four times as much is usual. A pattern that goes back and forth takes thousands of times as much.
  for (const part of ['ssh-', 'AAAA', '\\n', 'ssh-ed25519 AAAA\\n', 'sk-ecdsa-a \t', `"'`])
    expect(cost(part), part).toBeLessThan(40 * harmless);
});
