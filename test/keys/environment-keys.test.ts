import { describe, expect, test } from 'vitest';
import { parseEnvironmentKeys } from '../../src/keys/environment-keys.ts';
import { SAMPLE_KEYS } from './sample-keys.ts';

const { ed25519, rsa2048, ecdsa256, skEd25519 } = SAMPLE_KEYS;

const outline = (value: string) => {
  const { keys, findings } = parseEnvironmentKeys(value);
  return {
    keys: keys.map(({ line, type }) => `${line} ${type}`),
    findings: findings.map(({ code, line }) => `${code}:${line ?? '-'}`),
  };
};

const THREE = { keys: ['1 ssh-ed25519', '2 ssh-rsa', '3 ecdsa-sha2-nistp256'], findings: [] };

describe('BORG_SSHKEYS', () => {
  test.each([
    ['commas', `${ed25519} a,${rsa2048} b,${ecdsa256}`],
    ['a comma at the end', `${ed25519}, ${rsa2048}, ${ecdsa256},`],
    ['line breaks', `\n${ed25519} a\n${rsa2048} b\r\n\r\n${ecdsa256}\n`],
    ['commas and line breaks', `  ${ed25519} a,\n  ${rsa2048} b,\n,, ${ecdsa256} ,\n`],
    ['a quote in a comment', `${ed25519} joe"s laptop,${rsa2048},${ecdsa256}`],
  ])('is separated by %s', (_how, value) => {
    expect(outline(value)).toEqual(THREE);
  });

  test('keeps the commas of options together with their key', () => {
    const { keys, findings } = parseEnvironmentKeys(
      `from="10.0.0.1,10.0.0.2",verify-required ${skEd25519} a,${ed25519},expiry-time="20300101",from="::1" ${rsa2048}`,
    );
    expect(findings).toEqual([]);
    expect(keys.map(({ options }) => options)).toEqual([
      { from: '10.0.0.1,10.0.0.2', verifyRequired: true },
      {},
      { from: '::1', expiryTime: '20300101' },
    ]);
  });

  test('never drops the options of a key that is written over several lines', () => {
    for (const value of [
      `from="10.0.0.1",\nverify-required ${skEd25519}`,
      `from="10.0.0.1,\n10.0.0.2" ${ed25519}`,
      `from="10.0.0.1", verify-required ${skEd25519}`,
    ]) {
      expect(outline(value).keys, value).toEqual([]);
    }
  });

  test('does not admit what is commented out', () => {
    expect(outline(`# old: a, ${ed25519}\n${rsa2048}`)).toEqual({ keys: ['2 ssh-rsa'], findings: [] });
  });

  test('reports a bad key by its number and keeps the others', () => {
    expect(outline(`${ed25519},nonsense x,${rsa2048}`)).toEqual({
      keys: ['1 ssh-ed25519', '3 ssh-rsa'],
      findings: ['malformed-key:2'],
    });
    expect(parseEnvironmentKeys('x').findings[0]).toMatchObject({ file: 'BORG_SSHKEYS', line: 1 });
  });
});
