import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { failure } from '../failure.ts';
import { findProgram, searchFolders } from '../system/path.ts';
import { effectiveOptions } from './effective.ts';
import { penaltyClasses } from './penalties.ts';

/** Options that make the server better if sshd knows them. Some are newer than OpenSSH 9.2; others depend on how sshd was built. */
export const OPTIONAL_OPTIONS = {
  PerSourcePenalties: 'no',
  UnusedConnectionTimeout: 'none',
  RequiredRSASize: '2048',
  GSSAPIAuthentication: 'no',
  KerberosAuthentication: 'no',
  DebianBanner: 'no',
} as const;

export type OptionalOption = keyof typeof OPTIONAL_OPTIONS;

export type SshdProbe = {
  /** Absolute. sshd requires that: it executes itself again for each connection. */
  readonly path: string;
  /** As sshd says it: OpenSSH_9.2p1. */
  readonly version: string;
  /** The optional options that this sshd accepts. */
  readonly supported: ReadonlySet<OptionalOption>;
  /** The classes of PerSourcePenalties that it knows; none if it does not know the option. */
  readonly penalties: readonly string[];
};

/**
 * Finds sshd, and asks it what it supports: a version number says nothing about how it was built.
 *
 * @param search folders to look in, as in PATH; sshd's usual folders are always searched, too
 * @throws Error with cause `{ code: 'no-sshd', found, remedy }` if there is none that runs
 */
export const probeSshd = async (search = process.env.PATH ?? ''): Promise<SshdProbe> => {
  const path = findSshd(search);
  const [version, supported, penalties] = await Promise.all([
    sshdVersion(path),
    supportedOptions(path),
    knownPenalties(path),
  ]);
  return { path, version, supported, penalties };
};

const noSshd = (found: string): Error =>
  failure('there is no OpenSSH server', { code: 'no-sshd', found, remedy: 'install openssh-server' });

const findSshd = (search: string): string => {
  const folders = [...searchFolders(search), '/usr/sbin', '/usr/local/sbin', '/sbin'];
  const path = findProgram('sshd', folders);
  if (!path) throw noSshd(`no sshd in ${folders.join(', ')}`);
  return path;
};

/** 9.2 has no -V, and names its version when it complains of that. */
const sshdVersion = async (path: string): Promise<string> => {
  const { all = '' } = await execa(path, ['-V'], { reject: false, all: true, stdin: 'ignore', env: { LC_ALL: 'C' } });
  const version = /OpenSSH_[0-9.]+[0-9a-z]*/.exec(all)?.[0];
  if (!version) throw noSshd(`${path} does not say that it is OpenSSH`);
  return version;
};

/** sshd first names every option that it does not know or was built without. Only then does it check anything else. */
const supportedOptions = async (path: string): Promise<ReadonlySet<OptionalOption>> => {
  const folder = mkdtempSync(join(tmpdir(), 'borgserver-probe-'));
  try {
    const file = join(folder, 'sshd_config');
    const lines = Object.entries(OPTIONAL_OPTIONS).map(([name, value]) => `${name} ${value}\n`);
    writeFileSync(file, lines.join(''));
    const { stderr } = await execa(path, ['-t', '-f', file], { reject: false, stdin: 'ignore', env: { LC_ALL: 'C' } });
    const unknown = new Set(
      [...stderr.matchAll(/(?:Bad configuration option: |Unsupported option )(\w+)/g)].map(([, name]) =>
        name?.toLowerCase(),
      ),
    );
    return new Set(optionNames().filter((name) => !unknown.has(name.toLowerCase())));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};

/** sshd's own defaults name every class. -G prints them (sshd(8)); it is older than the first class. */
const knownPenalties = async (path: string): Promise<readonly string[]> => {
  const asked = ['-G', '-f', '/dev/null'];
  const { stdout } = await execa(path, asked, { reject: false, stdin: 'ignore', env: { LC_ALL: 'C' } });
  return penaltyClasses(effectiveOptions(stdout).get('persourcepenalties') ?? '');
};

const optionNames = (): OptionalOption[] =>
  Object.keys(OPTIONAL_OPTIONS).filter((name): name is OptionalOption => name in OPTIONAL_OPTIONS);
