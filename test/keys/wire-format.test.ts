import sshpk from 'sshpk';
import { describe, expect, test } from 'vitest';
import { CURVES, isPublicPoint } from '../../src/keys/curve-point.ts';
import { readKeyWords } from '../../src/keys/wire-format.ts';
import { SAMPLE_KEYS } from './sample-keys.ts';

const packed = (...parts: (string | Uint8Array)[]): string =>
  Buffer.concat(
    parts.flatMap((part) => {
      const bytes = Buffer.from(part as Uint8Array);
      const length = Buffer.alloc(4);
      length.writeUInt32BE(bytes.length);
      return [length, bytes];
    }),
  ).toString('base64');

const blobOf = (line: string): Buffer => Buffer.from(line.split(' ')[1] ?? '', 'base64');

const code = (type: string, base64: string): string => {
  const verdict = readKeyWords(type, base64);
  return verdict.ok ? verdict.key.blob : verdict.code;
};

describe('a blob', () => {
  const good = blobOf(SAMPLE_KEYS.ed25519);

  test('is refused at every length but its own, where sshpk alone takes some', () => {
    const taken: number[] = [];
    for (let length = 0; length <= good.length + 4; length += 1) {
      const changed = Buffer.concat([good, Buffer.alloc(8)]).subarray(0, length);
      const verdict = readKeyWords('ssh-ed25519', changed.toString('base64'));
      if (verdict.ok) taken.push(length);
    }
    expect(taken).toEqual([good.length]);
    expect(() => sshpk.parseKey(Buffer.concat([good, Buffer.alloc(4)]), 'rfc4253')).not.toThrow();
  });

  test('whose length field claims gigabytes is refused at once', () => {
    const bomb = Buffer.from(good);
    bomb.writeUInt32BE(0xffffffff, 15);
    expect(code('ssh-ed25519', bomb.toString('base64'))).toBe('malformed-key');
  });

  test('of another type than the word before it is refused', () => {
    expect(code('ssh-rsa', good.toString('base64'))).toBe('malformed-key');
    expect(code('ecdsa-sha2-nistp384', blobOf(SAMPLE_KEYS.ecdsa256).toString('base64'))).toBe('malformed-key');
  });

  test('is refused in any base64 that OpenSSH refuses', () => {
    const text = blobOf(SAMPLE_KEYS.ecdsa256).toString('base64');
    expect(text.endsWith('=')).toBe(true);
    for (const other of [
      text.slice(0, -1),
      `${text}=`,
      text.replace(/.=$/, (pair) => `${String.fromCharCode(pair.charCodeAt(0) + 1)}=`),
      `${text}A`,
      '',
    ]) {
      expect(code('ecdsa-sha2-nistp256', other), other).toBe('malformed-key');
    }
    expect(code('ecdsa-sha2-nistp256', `${text.slice(0, 9)}\v${text.slice(9)}`)).toBe(text);
  });
});

describe('an RSA key', () => {
  const modulus = blobOf(SAMPLE_KEYS.rsa2048).subarray(-257);
  const rsa = (e: number[], n: Uint8Array): string => packed('ssh-rsa', Buffer.from(e), n);

  test('is written without the leading zeros that OpenSSH forgives, so that equal keys are equal', () => {
    const plain = code('ssh-rsa', rsa([1, 0, 1], modulus));
    expect(code('ssh-rsa', rsa([0, 0, 1, 0, 1], Buffer.concat([Buffer.alloc(3), modulus])))).toBe(plain);
    expect(code('rsa-sha2-512', packed('rsa-sha2-256', Buffer.from([1, 0, 1]), modulus))).toBe(plain);
  });

  test('is weak below 2048 bits, counted to the bit', () => {
    const short = Buffer.from(modulus.subarray(1));
    short[0] = 0x7f;
    expect(code('ssh-rsa', rsa([1, 0, 1], short))).toBe('weak-key');
    expect(readKeyWords('ssh-rsa', rsa([1, 0, 1], short))).toMatchObject({ found: 'an RSA key of 2047 bits' });
  });

  test('with an exponent that makes every signature valid is weak', () => {
    expect(code('ssh-rsa', rsa([1], modulus))).toBe('weak-key');
    expect(code('ssh-rsa', rsa([0, 0], modulus))).toBe('weak-key');
  });

  test('with a negative or oversized number is malformed', () => {
    expect(code('ssh-rsa', rsa([0x81], modulus))).toBe('malformed-key');
    expect(code('ssh-rsa', rsa([1, 0, 1], Buffer.alloc(2049, 1)))).toBe('malformed-key');
  });
});

describe('an ECDSA key', () => {
  test('is a point on its curve', () => {
    for (const [index, sample] of [SAMPLE_KEYS.ecdsa256, SAMPLE_KEYS.ecdsa384, SAMPLE_KEYS.ecdsa521].entries()) {
      const curve = CURVES[index];
      if (!curve) throw new Error('no such curve');
      const point = Buffer.from(blobOf(sample).subarray(-(1 + 2 * curve.size)));
      expect(isPublicPoint(curve, point)).toBe(true);
      for (const at of [0, 1, curve.size, 2 * curve.size]) {
        const off = Buffer.from(point);
        off[at] = (off[at] ?? 0) ^ 1;
        expect(isPublicPoint(curve, off)).toBe(false);
      }
      expect(isPublicPoint(curve, Buffer.concat([Buffer.of(4), Buffer.alloc(2 * curve.size)]))).toBe(false);
    }
  });
});
