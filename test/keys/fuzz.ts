import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { parseLine, renderLine } from '../../src/accounts/authorized-key-line.ts';
import type { FindingCode } from '../../src/accounts/finding.ts';
import { parseKeyLine } from '../../src/keys/key-line.ts';
import { diceOf, hostileLine } from './hostile-lines.ts';

/** What ssh-keygen -l prints for one line: `2048 SHA256:… comment (RSA)`; null where it finds no public key in it. */
type Answer = { readonly bits: number; readonly fingerprint: string; readonly type: string } | null;

export type FuzzReport = {
  readonly lines: number;
  readonly accepted: number;
  readonly refusedByName: number;
  readonly disagreements: readonly string[];
};

const BATCH = 2000;

/** Asks ssh-keygen about many lines at once: behind each stands a key of its own, so the answers can be told apart. */
export const askSshKeygen = (lines: readonly string[]): Answer[] => {
  const folder = mkdtempSync(join(tmpdir(), 'fuzz-'));
  try {
    return Array.from({ length: Math.ceil(lines.length / BATCH) }, (_, batch) =>
      askBatch(join(folder, 'keys'), lines.slice(batch * BATCH, (batch + 1) * BATCH)),
    ).flat();
  } finally {
    rmSync(folder, { recursive: true });
  }
};

const askBatch = (file: string, lines: readonly string[]): Answer[] => {
  const markers = Array.from({ length: lines.length + 1 }, (_, index) => marker(index));
  // The first line must not be one of ours: ssh-keygen tries a file that begins with a private key as one.
  const text = [markers[0]?.line, ...lines.flatMap((line, index) => [line, markers[index + 1]?.line])].join('\n');
  writeFileSync(file, `${text}\n`);
  // A comment that it prints may be a left-over of an earlier line, with a line feed in it.
  const printed = execFileSync('ssh-keygen', ['-l', '-f', file], { encoding: 'utf8', maxBuffer: 1 << 28 })
    .trimEnd()
    .split(/\n(?=\d+ SHA256:)/);
  // It can also be so long that ssh-keygen cuts its line, line feed and all: then fewer lines at once tell more.
  if (printed.some((entry) => entry.split(' SHA256:').length > 2)) {
    if (lines.length === 1) throw new Error('the answers of ssh-keygen cannot be told apart');
    const half = lines.length >> 1;
    return [...askBatch(file, lines.slice(0, half)), ...askBatch(file, lines.slice(half))];
  }
  const answers = printed.map(readAnswer);
  let at = 1;
  return markers.slice(1).map(({ fingerprint }) => {
    const found = answers[at]?.fingerprint === fingerprint ? null : (answers[at++] ?? null);
    if (answers[at++]?.fingerprint !== fingerprint) throw new Error('ssh-keygen left out a sound key');
    return found;
  });
};

const readAnswer = (printed: string): Answer => {
  const match = /^(\d+) (SHA256:\S+) .*\(([A-Z0-9-]+)\)$/s.exec(printed);
  if (!match) throw new Error(`ssh-keygen printed ${JSON.stringify(printed)}`);
  return { bits: Number(match[1]), fingerprint: match[2] ?? '', type: match[3] ?? '' };
};

const marker = (index: number): { readonly line: string; readonly fingerprint: string } => {
  const point = createHash('sha256').update(`marker ${index}`).digest();
  const blob = Buffer.concat([Buffer.from('\0\0\0\x0bssh-ed25519\0\0\0\x20', 'latin1'), point]);
  const fingerprint = createHash('sha256').update(blob).digest('base64').replace(/=+$/, '');
  return { line: `ssh-ed25519 ${blob.toString('base64')}`, fingerprint: `SHA256:${fingerprint}` };
};

/** Why a line is refused that ssh-keygen takes. Each reason has its own name, and counts only where it is true. */
const REFUSED_BY_NAME: Partial<Record<FindingCode, (answer: NonNullable<Answer>, message: string) => boolean>> = {
  // Exponent 1 or 0: a signature is its own message, so whoever knows the public key has the private one.
  'weak-key': ({ bits, type }, message) => type === 'RSA' && (bits < 2048 || message.includes('exponent')),
  'dsa-key': ({ type }) => type === 'DSA',
  certificate: ({ type }) => type.endsWith('-CERT'),
  'forbidden-option': () => true,
  'malformed-option': () => true,
  // A type of a newer OpenSSH than the one that this was written for.
  'unknown-key-type': ({ type }) => !/^(RSA|DSA|ECDSA|ED25519|ECDSA-SK|ED25519-SK)$/.test(type),
  // A host before the key, which ssh-keygen skips as it does an option, and sshd refuses.
  'other-form': () => true,
};

/**
 * Where OpenSSH's versions differ, nothing is granted. A CR inside a line ends it for 10.0 and is white space for 9.2; type
 * names in short, as `RSA` or `ed25519`, are taken inside a blob by 9.2 and no more by 10.0.
 */
const versionsDiffer = (line: string): boolean =>
  line.replace(/\r+$/, '').includes('\r') || line.split(/[ \t]+/).some((word) => SHORT_NAME.test(innerName(word)));

const SHORT_NAME = /^(RSA|DSA|ED25519|ED25519-SK)\0?$/i;

const innerName = (word: string): string => {
  const blob = Buffer.from(word, 'base64');
  return blob.length < 4 ? '' : blob.toString('latin1', 4, 4 + blob.readUInt32BE(0));
};

/** Compares the verdict on `count` hostile lines with ssh-keygen's. */
export const fuzz = (count: number, seed: number): FuzzReport => {
  const dice = diceOf(seed);
  const lines = Array.from({ length: count }, () => hostileLine(dice));
  const answers = askSshKeygen(lines);
  const disagreements: string[] = [];
  const granted: { readonly rendered: string; readonly fingerprint: string }[] = [];
  let refusedByName = 0;
  for (const [index, line] of lines.entries()) {
    const answer = answers[index] ?? null;
    const read = parseKeyLine(line, { file: 'fuzz', line: index + 1 });
    const tell = (what: string): number => disagreements.push(`${what}: ${JSON.stringify(line.slice(0, 400))}`);
    if (read.kind === 'key') {
      const rendered = renderLine(read.key);
      granted.push({ rendered, fingerprint: read.key.fingerprint });
      if (!answer) tell('GRANTS what ssh-keygen rejects');
      else if (answer.fingerprint !== read.key.fingerprint) tell('another fingerprint than ssh-keygen');
      const { file: _file, line: _line, ...key } = read.key;
      if (!isDeepStrictEqual(parseLine(rendered), key)) tell('does not read back what it writes');
      if (!/^[\p{L}\p{M}\p{N}\p{P}\p{S} ]+$/u.test(rendered)) tell('writes what is not printable');
    } else if (answer) {
      const code = read.kind === 'finding' ? read.finding.code : null;
      const reason = code && REFUSED_BY_NAME[code];
      if (read.kind === 'finding' && reason?.(answer, read.finding.message)) refusedByName += 1;
      else if ((code === 'malformed-key' || read.kind === 'private-key') && versionsDiffer(line)) refusedByName += 1;
      else tell(`refuses (${code ?? read.kind}) what ssh-keygen takes`);
    }
  }
  for (const [index, answer] of askSshKeygen(granted.map(({ rendered }) => rendered)).entries()) {
    const wrote = granted[index];
    if (answer?.fingerprint !== wrote?.fingerprint)
      disagreements.push(`ssh-keygen does not read what is written: ${wrote?.rendered}`);
  }
  return { lines: count, accepted: granted.length, refusedByName, disagreements };
};

if (import.meta.main) {
  const [count = '100000', seed = String(Date.now() % 1_000_000)] = process.argv.slice(2);
  const report = fuzz(Number(count), Number(seed));
  for (const line of report.disagreements.slice(0, 20)) console.log(line);
  console.log(
    `seed ${seed}: ${report.lines} lines, ${report.accepted} accepted, ${report.refusedByName} refused by name, ${report.disagreements.length} disagreements`,
  );
  process.exitCode = report.disagreements.length === 0 ? 0 : 1;
}
