import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseKeyFile } from '../../src/keys/key-file.ts';
import { costOf } from '../cost.ts';
import { SAMPLE_KEYS } from './sample-keys.ts';

const { ed25519, rsa2048, rsa4096, ecdsa256, skEd25519 } = SAMPLE_KEYS;

let folder: string;
let file: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'other-form-'));
  file = join(folder, 'web01');
});
afterAll(() => rmSync(folder, { recursive: true }));

/** What ssh-keygen makes of a public key, which it reads from a file. */
const exported = (key: string, form: string): string => {
  writeFileSync(file, `${key} me@laptop\n`);
  return execFileSync('ssh-keygen', ['-e', '-m', form, '-f', file], { encoding: 'utf8' });
};

const read = (text: string) => {
  writeFileSync(file, text);
  return parseKeyFile(readFileSync(file), file);
};

const outline = (text: string) => {
  const { keys, findings } = read(text);
  return { keys: keys.map(({ line }) => line), findings: findings.map(({ code, line }) => `${code}:${line ?? '-'}`) };
};

describe('a public key in another form', () => {
  test.each([
    ['rsa4096', 'RFC4716', 'RFC 4716'],
    ['ed25519', 'RFC4716', 'RFC 4716'],
    ['ecdsa256', 'RFC4716', 'RFC 4716'],
    ['rsa2048', 'PKCS8', 'PKCS#8'],
    ['ecdsa256', 'PKCS8', 'PKCS#8'],
    ['rsa2048', 'PEM', 'PKCS#1'],
  ] as const)('%s in %s is one finding, whose command converts it', (name, form, called) => {
    const text = exported(SAMPLE_KEYS[name], form);
    const { keys, findings } = read(text);
    expect(keys).toEqual([]);
    expect(findings.map(({ code, line }) => `${code}:${line ?? '-'}`)).toEqual(['other-form:1', 'no-valid-key:-']);
    expect(findings[0]?.message).toContain(called);
    const command = /ssh-keygen -i .*?(?= {2})/.exec(findings[0]?.remedy ?? '')?.[0] ?? '';
    const converted = execFileSync('sh', ['-c', command], { encoding: 'utf8' });
    expect(read(converted).keys).toMatchObject([{ blob: SAMPLE_KEYS[name].split(' ')[1] }]);
  });

  test('with Windows line ends, and a comment that goes on in the next line, is one all the same', () => {
    const text = [
      '---- BEGIN SSH2 PUBLIC KEY ----',
      'Subject: me',
      'Comment: "a comment that is \\',
      'going on and on, with a "quote" in it"',
      ...(rsa2048.split(' ')[1]?.match(/.{1,64}/g) ?? []),
      '---- END SSH2 PUBLIC KEY ----',
      '',
    ].join('\r\n');
    expect(outline(text)).toEqual({ keys: [], findings: ['other-form:1', 'no-valid-key:-'] });
  });

  test('changes nothing about the lines beside it, nor about their findings', () => {
    const text = `${ed25519}\n${exported(rsa2048, 'RFC4716')}${ecdsa256}\nnonsense here\n`;
    const last = text.split('\n').length - 2;
    expect(outline(text)).toEqual({ keys: [1, last], findings: ['other-form:2', `malformed-key:${last + 1}`] });
  });

  test('that has lost its end swallows no key and no other finding', () => {
    const begun = exported(rsa2048, 'PKCS8').split('\n').slice(0, 4).join('\n');
    expect(outline(`${begun}\n${ed25519}\nno key\n`)).toEqual({
      keys: [5],
      findings: ['other-form:1', 'malformed-key:6'],
    });
  });

  test('as Ed25519 in PEM, which ssh-keygen cannot convert, says what to do instead', () => {
    const { findings } = read(
      '-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAaEOzFBIDdIWhPKugdcNF3DWu5CGwsDJgWlZla8mSu8Y=\n-----END PUBLIC KEY-----\n',
    );
    expect(findings.map(({ code }) => code)).toEqual(['other-form', 'no-valid-key']);
    expect(findings[0]?.remedy).toContain('.pub file');
  });

  test.each(['CERTIFICATE', 'PGP PUBLIC KEY BLOCK', 'SSH SIGNATURE'])(
    'is not confused with what is no key of ssh at all: %s',
    (what) => {
      const { findings } = read(`-----BEGIN ${what}-----\n\nmDMEZ\nAAAA\n-----END ${what}-----\n`);
      expect(findings[0]).toMatchObject({ code: 'other-form', line: 1 });
      expect(findings[0]?.message).toContain(what);
    },
  );

  test('is a PRIVATE key first of all, and a .ppk is told how its public half is printed', () => {
    const secret = 'c2VjcmV0';
    const ppk = `PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nComment: me\nPublic-Lines: 2\nAAAA\nBBBB\nPrivate-Lines: 1\n${secret}\n`;
    expect(outline(ppk)).toEqual({ keys: [], findings: ['private-key:1', 'no-valid-key:-'] });
    expect(read(ppk).findings[0]?.remedy).toContain('puttygen -L');
    expect(JSON.stringify(read(ppk))).not.toContain(secret);
    const beside = `${exported(rsa2048, 'RFC4716')}-----BEGIN OPENSSH PRIVATE KEY-----\n${secret}\n`;
    expect(read(beside).findings.map(({ code }) => code)).toEqual(['private-key', 'no-valid-key']);
  });
});

describe('a key with a host before it', () => {
  test.each([
    'web01.example.org',
    'nas',
    'web01,192.0.2.7',
    '[backup.example.org]:2222',
    '|1|JfKTdBh7rNbXkVAQCRp4OQoPfmI=|USECr3SWf1JUPsms5AqfD5QfxkM=',
    '@cert-authority *.example.org',
    '2001:db8::1',
  ])('is a line of known_hosts: %s', (host) => {
    const { keys, findings } = read(`${host} ${ed25519}\n`);
    expect(keys).toEqual([]);
    expect(findings.map(({ code }) => code)).toEqual(['other-form', 'no-valid-key']);
    expect(findings[0]?.message).toContain('known_hosts');
    expect(JSON.stringify(findings)).not.toContain(host);
  });

  test('is one finding for a whole known_hosts, and the good line beside it stays', () => {
    const hosts = [ed25519, rsa2048, ecdsa256].map((key) => `nas ${key}`).join('\n');
    const { keys, findings } = read(`# web01:22 SSH-2.0-OpenSSH_9.2\n${hosts}\n${rsa4096}\n`);
    expect(keys).toMatchObject([{ line: 5 }]);
    expect(findings).toMatchObject([{ code: 'other-form', line: 2 }]);
    expect(findings[0]?.message).toContain('2 more lines');
  });

  test.each(['no-such-thing', 'cert-authority', 'command="x"', 'form="10.0.0.1"', '-', 'pty,web01'])(
    'is not what may be meant as an option: %s',
    (word) => expect(outline(`${word} ${ed25519}\n`).findings).toEqual(['forbidden-option:1', 'no-valid-key:-']),
  );
});

describe('a key that is cut into several lines', () => {
  const [type = '', blob = ''] = rsa2048.split(' ');

  test.each([
    ['in two', `${type} ${blob.slice(0, 200)}\n${blob.slice(200)} me@laptop`],
    ['behind its type', `${type}\n${blob} me@laptop`],
    ['behind its options', `from="10.0.0.1" ${type} ${blob.slice(0, 70)}\r\n  ${blob.slice(70)}\r`],
    ['as a narrow terminal shows it', `${type} ${blob.match(/.{1,60}/g)?.join('\n')}`],
  ])('%s is one finding, and grants nothing', (_how, text) => {
    expect(outline(`${ed25519}\n${text}\n${ecdsa256}\n`)).toEqual({
      keys: [1, text.split('\n').length + 2],
      findings: ['other-form:2'],
    });
  });

  test('is not seen in lines that do not make a key together', () => {
    expect(outline(`${type} ${blob.slice(0, 200)}\n${blob.slice(204)}\n`).findings).toEqual([
      'malformed-key:1',
      'malformed-key:2',
      'no-valid-key:-',
    ]);
  });

  test('costs no time even in a large file that is made to cost much', () => {
    const cost = (character: string): number => {
      const text = `${type} ${blob.slice(0, 40)}\n${`${character.repeat(160)}\n`.repeat(100)}`;
      return costOf(() => read(text.repeat(60)));
    };
    // Such a line cannot be a part of a key, so nothing more is tried with it.
    const harmless = Math.max(1, cost('-'));
    // Five times as much is usual. If each line were put together with those behind it, it would be hundreds of times as much.
    expect(cost('A')).toBeLessThan(50 * harmless);
  });
});

test.each([ed25519, ecdsa256, skEd25519])('a key without its type is told so: %s', (key) => {
  const [type = '', blob = ''] = key.split(' ');
  const { findings } = read(`${blob} me@laptop\n`);
  expect(findings.map(({ code }) => code)).toEqual(['other-form', 'no-valid-key']);
  expect(findings[0]?.remedy).toContain(type);
});
