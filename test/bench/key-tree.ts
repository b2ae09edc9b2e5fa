import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A sound public key that nobody can log in with. */
export const anyKey = (): string => {
  const blob = Buffer.concat([string(Buffer.from('ssh-ed25519')), string(randomBytes(32))]);
  return `ssh-ed25519 ${blob.toString('base64')} root@host`;
};

const string = (bytes: Buffer): Buffer => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
};

/** The names host0.example.org, host1.example.org, … */
export const names = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `host${index}.example.org`);

/** Writes one key file for each name into a role folder. */
export const writeKeys = (folder: string, hosts: readonly string[]): void => {
  mkdirSync(folder, { recursive: true });
  for (const host of hosts) writeFileSync(join(folder, host), `${anyKey()}\n`);
};
