import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { failure } from '../failure.ts';
import { writeFileAtomically } from '../host/write.ts';
import { flush } from '../system/open.ts';
import { printable } from '../text/printable.ts';

export type HostKey = {
  /** The type as in the public line: ssh-ed25519. */
  readonly type: string;
  /** The copy that sshd reads. It belongs to root, mode 0600. */
  readonly privatePath: string;
  /** Type and base64, without a comment, as in a client's known_hosts. */
  readonly publicLine: string;
  /** SHA256:… as ssh-keygen -l prints it. */
  readonly fingerprint: string;
};

const KINDS = ['ed25519', 'ecdsa', 'rsa'] as const;
type Kind = (typeof KINDS)[number];

const MAX_KEY_BYTES = 65_536;
const TEMPORARY = '.new-host-key-';

/**
 * Prepares the host keys in the operator's folder for sshd. Makes those that are missing (ed25519, ecdsa, rsa), checks those that
 * are there, and copies them to `run`/host_keys with the modes that sshd demands, even if a NAS shows other modes. Never overwrites
 * a key. The folder may be read-only if it holds at least one key.
 *
 * @throws Error with cause `{ code: 'bad-host-key', file, found, remedy }` for a wrong key, and
 * `{ code: 'no-host-key', file, found, remedy }` if there is none and none can be made
 */
export const prepareHostKeys = async (where: {
  readonly folder: string;
  readonly run: string;
}): Promise<readonly HostKey[]> => {
  const unwritable = await makeMissing(where.folder);
  const copies = join(where.run, 'host_keys');
  mkdirSync(where.run, { recursive: true, mode: 0o755 });
  rmSync(copies, { recursive: true, force: true });
  mkdirSync(copies, { mode: 0o700 });
  const keys: HostKey[] = [];
  for (const kind of KINDS) {
    const file = join(where.folder, fileName(kind));
    if (existsSync(file)) keys.push(await adopt(file, join(copies, fileName(kind)), unwritable === null));
    else if (existsSync(`${file}.pub`)) {
      throw bad(
        `${file}.pub`,
        'a public host key without its private half',
        `put ${fileName(kind)} back, or remove both`,
      );
    }
  }
  if (keys.length === 0) {
    throw failure('there is no host key', {
      code: 'no-host-key',
      file: where.folder,
      found: `no host key, and the folder cannot be written: ${unwritable}`,
      remedy: 'let the server write there once, or make a key: ssh-keygen -t ed25519 -N "" -f ssh_host_ed25519_key',
    });
  }
  return keys;
};

/** One line for each key, as a client shows it at the first connection. */
export const hostKeyFingerprints = (keys: readonly HostKey[]): readonly string[] =>
  keys.map(({ type, fingerprint }) => `${type} ${fingerprint}`);

const fileName = (kind: Kind): string => `ssh_host_${kind}_key`;

const bad = (file: string, found: string, remedy: string): Error =>
  failure('a host key is not right', { code: 'bad-host-key', file, found, remedy });

/**
 * Makes each key in a temporary folder and moves it into place, private half first: a missing .pub can be made again, a missing private
 * half is lost. Returns why the folder cannot be written; null if it can.
 */
const makeMissing = async (folder: string): Promise<string | null> => {
  const missing = KINDS.filter(
    (kind) => !existsSync(join(folder, fileName(kind))) && !existsSync(join(folder, `${fileName(kind)}.pub`)),
  );
  let temporary: string;
  try {
    mkdirSync(folder, { recursive: true });
    for (const left of readdirSync(folder).filter((name) => name.startsWith(TEMPORARY))) {
      rmSync(join(folder, left), { recursive: true });
    }
    temporary = mkdtempSync(join(folder, TEMPORARY));
  } catch (error) {
    return wordsOf(error);
  }
  try {
    for (const kind of missing) {
      const made = join(temporary, fileName(kind));
      const size = kind === 'rsa' ? ['-b', '3072'] : [];
      await execa('ssh-keygen', ['-q', '-t', kind, ...size, '-N', '', '-C', '', '-f', made], { stdin: 'ignore' });
      for (const suffix of ['', '.pub']) {
        flush(`${made}${suffix}`);
        renameSync(`${made}${suffix}`, join(folder, `${fileName(kind)}${suffix}`));
      }
    }
    if (missing.length > 0) flush(folder);
    return null;
  } catch (error) {
    // A full disk, for example. The keys that are there are enough.
    return wordsOf(error);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
};

/** ssh-keygen's own message says what is wrong; its command line helps nobody. */
const wordsOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error);
  return 'stderr' in error && typeof error.stderr === 'string' && error.stderr !== '' ? error.stderr : error.message;
};

const adopt = async (file: string, copy: string, writable: boolean): Promise<HostKey> => {
  const remedy =
    'put the right file back; or remove it and its .pub for a new one, and tell the clients its fingerprint';
  const content = readKey(file, remedy);
  // In a key that was pasted by hand, the last line often has no line feed, and OpenSSH wants one.
  writeFileAtomically(copy, content.at(-1) === 10 ? content : Buffer.concat([content, Buffer.from('\n')]), {
    mode: 0o600,
  });
  const derived = await execa('ssh-keygen', ['-y', '-P', '', '-f', copy], {
    reject: false,
    stdin: 'ignore',
    env: { LC_ALL: 'C' },
  });
  if (derived.exitCode !== 0) {
    throw /incorrect passphrase/.test(derived.stderr)
      ? bad(file, 'a private key with a passphrase', `take the passphrase away: ssh-keygen -p -N "" -f ${file}`)
      : bad(file, 'not a private key that OpenSSH can read', remedy);
  }
  const publicLine = typeAndBlob(derived.stdout);
  const type = publicLine.split(' ')[0] ?? '';
  if (!/^(ssh-ed25519|ecdsa-sha2-nistp(256|384|521)|ssh-rsa)$/.test(type)) {
    throw bad(file, `a key of type ${printable(type, 60)}`, 'use an ed25519, ecdsa or rsa key');
  }
  const listed = await execa('ssh-keygen', ['-l', '-f', '-'], { input: `${publicLine}\n` });
  const [bits = '', fingerprint = ''] = listed.stdout.split(' ');
  if (type === 'ssh-rsa' && Number(bits) < 2048) throw bad(file, `an RSA key of ${bits} bits`, 'make one of 3072 bits');
  checkPublicHalf(`${file}.pub`, publicLine, writable);
  return { type, privatePath: copy, publicLine, fingerprint };
};

const readKey = (file: string, remedy: string): Buffer => {
  try {
    const found = statSync(file);
    if (!found.isFile()) throw bad(file, 'not a file', remedy);
    if (found.size === 0) throw bad(file, 'an empty file', remedy);
    if (found.size > MAX_KEY_BYTES) throw bad(file, `a file of ${found.size} bytes`, remedy);
    return readFileSync(file);
  } catch (error) {
    if (error instanceof Error && error.cause) throw error;
    throw bad(
      file,
      `a file that cannot be read (${error instanceof Error ? error.message : String(error)})`,
      'make it readable for root',
    );
  }
};

/** Only people read the .pub. The .pub of another key would make them trust the wrong fingerprint. */
const checkPublicHalf = (file: string, publicLine: string, writable: boolean): void => {
  if (existsSync(file)) {
    const content = readKey(file, 'remove it: it is made anew from the private key').toString('latin1');
    if (typeAndBlob(content) !== publicLine) {
      throw bad(file, 'the public half of another key', 'remove it: it is made anew from the private key');
    }
  } else if (writable) {
    try {
      writeFileSync(file, `${publicLine}\n`, { mode: 0o644, flag: 'wx' });
    } catch {
      // The disk is full, for example. The next start makes the file.
    }
  }
};

const typeAndBlob = (line: string): string =>
  line
    .trim()
    .split(/[ \t]+/)
    .slice(0, 2)
    .join(' ');
