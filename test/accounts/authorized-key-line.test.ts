import { describe, expect, test } from 'vitest';
import { parseLine } from '../../src/accounts/authorized-key-line.ts';
import { SAMPLE_KEYS } from '../keys/sample-keys.ts';

describe('a line of authorized_keys', () => {
  const line = `restrict,from="10.0.0.0/8",expiry-time="20300101",verify-required ${SAMPLE_KEYS.skEd25519} me \\\\ you`;

  test('is read back as it was written', () => {
    expect(parseLine(line)).toMatchObject({
      type: 'sk-ssh-ed25519@openssh.com',
      comment: 'me \\\\ you',
      options: { from: '10.0.0.0/8', expiryTime: '20300101', verifyRequired: true },
    });
    expect(parseLine(`restrict ${SAMPLE_KEYS.rsa2048}`)).toMatchObject({ comment: '', options: {} });
  });

  test('that somebody else wrote or changed is not ours', () => {
    for (const other of [
      '',
      SAMPLE_KEYS.ed25519,
      `restrict,command="sh" ${SAMPLE_KEYS.ed25519}`,
      `restrict,pty ${SAMPLE_KEYS.ed25519}`,
      `restrict,no-pty ${SAMPLE_KEYS.ed25519}`,
      `restrict  ${SAMPLE_KEYS.ed25519}`,
      ` restrict ${SAMPLE_KEYS.ed25519}`,
      `restrict ${SAMPLE_KEYS.ed25519} `,
      `restrict ${SAMPLE_KEYS.ed25519} a\tb`,
      `restrict ${SAMPLE_KEYS.ed25519} a\rb`,
      `verify-required,restrict ${SAMPLE_KEYS.skEd25519}`,
    ]) {
      expect(parseLine(other), other).toBeNull();
    }
  });
});
