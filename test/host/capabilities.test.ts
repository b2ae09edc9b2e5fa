import { expect, it } from 'vitest';
import { checkCapabilities } from '../../src/host/capabilities.ts';

const status = (effective: string): string => `Name:\tnode\nCapPrm:\t0000000000000000\nCapEff:\t${effective}\n`;
// What capabilities(7) counts from 0: CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SYS_CHROOT
const EIGHT = '00000000000400fb';
const refused = (missing: readonly string[]) =>
  expect.objectContaining({
    cause: expect.objectContaining({ missing: missing.map((name) => expect.stringContaining(`capability ${name} `)) }),
  });

it('the capabilities of the compose file are enough, and so are all of root’s', () => {
  expect(() => checkCapabilities({ IDENTITIES: 'own' }, status(EIGHT))).not.toThrow();
  expect(() => checkCapabilities({ IDENTITIES: 'own' })).not.toThrow();
});

it('names every one that is missing', () => {
  expect(() => checkCapabilities({ IDENTITIES: 'own' }, status('0000000000000000'))).toThrow(
    refused(['CHOWN', 'FOWNER', 'FSETID', 'DAC_OVERRIDE', 'KILL', 'SETGID', 'SETUID', 'SYS_CHROOT']),
  );
  expect(() => checkCapabilities({ IDENTITIES: 'own' }, status('00000000000400db'))).toThrow(refused(['KILL']));
});

it('does not ask for the right to change owners where all accounts have one uid', () => {
  expect(() => checkCapabilities({ IDENTITIES: 'shared' }, status('00000000000400e2'))).not.toThrow();
  expect(() => checkCapabilities({ IDENTITIES: 'shared' }, status('00000000000000e2'))).toThrow(
    refused(['SYS_CHROOT']),
  );
});
