import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { parseEnvironmentKeys } from '../../src/keys/environment-keys.ts';
import { parseKeyFile } from '../../src/keys/key-file.ts';
import { SAMPLE_KEYS } from './sample-keys.ts';

const { ed25519, rsa2048 } = SAMPLE_KEYS;
const FILE = '/sshkeys/repos/web01';
const read = (content: string | Uint8Array) =>
  parseKeyFile(typeof content === 'string' ? Buffer.from(content) : content, FILE);

const PAGE = `<!DOCTYPE html>\n<html lang="en">\n<head>\n${'<meta name="x" content="y">\n'.repeat(50)}</head>\n<body>\n<h1>404</h1>\n</body></html>\n`;

describe('a file that is something else is one finding that says so', () => {
  test.each([
    ['a web page', PAGE],
    ['a web page', `\ufeff\r\n<html><body>Not Found</body></html>`],
    ['XML', '<?xml version="1.0"?>\n<Error><Code>NoSuchKey</Code></Error>\n'],
    ['JSON', '{\n  "message": "Not Found",\n  "status": "404"\n}\n'],
    ['JSON', `[{"id":1,"key":"${ed25519}"}]`],
    ['JSON', '[]'],
    ['web server', 'HTTP/2 404\r\nserver: x\r\n\r\nNot Found'],
    ['error message', 'Not Found'],
    ['error message', '404: Not Found'],
    ['error message', '404 page not found\n'],
    ['error message', 'Access Denied\r\n'],
    ['error message', 'null\n'],
    ['error message', 'cat: /root/.ssh/id_ed25519.pub: No such file or directory\n'],
    ['word processor', `{\\rtf1\\ansi\n{\\fonttbl}\n${ed25519}}`],
    ['archive', gzipSync(`${ed25519}\n`)],
    ['archive', Buffer.from('PK\x03\x04\x14\0\n\n\n')],
    ['picture', Buffer.from([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10, 0])],
  ])('%s', (what, content) => {
    expect(read(content)).toEqual({
      keys: [],
      findings: [
        {
          ...{ severity: 'error', code: 'not-a-key-file', file: FILE, line: null },
          message: expect.stringContaining(what),
          remedy: expect.stringMatching(/./),
        },
      ],
    });
  });

  test('in BORG_SSHKEYS, too', () => {
    for (const value of ['Not Found', `["${ed25519}","${rsa2048}"]`, PAGE])
      expect(parseEnvironmentKeys(value)).toMatchObject({
        keys: [],
        findings: [{ code: 'not-a-key-file', file: 'BORG_SSHKEYS' }],
      });
  });

  test('and changes nothing about a line that is a key, nor about the findings of that line', () => {
    const { keys, findings } = read(`${PAGE}${ed25519}\n${rsa2048}\n${rsa2048}\n`);
    expect(keys).toHaveLength(2);
    expect(findings.map(({ code }) => code)).toEqual(['not-a-key-file']);
    expect(read(`<pre>\nfrom="*.lan" ${ed25519}\n</pre>`).findings.map(({ code }) => code)).toEqual([
      'not-a-key-file',
      'option-without-effect',
    ]);
  });

  test('but not if a private key is in it', () => {
    const page = `<pre>\n-----BEGIN OPENSSH PRIVATE KEY-----\n</pre>`;
    expect(read(page).findings.map(({ code }) => code)).toEqual(['private-key', 'no-valid-key']);
  });
});

test.each([
  'nonsense here',
  'found',
  '<<<<<<< HEAD\nx',
  '[ssh] key',
  '{ key',
  '# Not Found',
  `Not Found\n${ed25519}\n${rsa2048}`,
])('%j is just a file with mistakes, unless an error message is all of it', (content) => {
  const codes = read(content).findings.map(({ code }) => code);
  expect(codes.includes('not-a-key-file')).toBe(content === 'found');
});
