import fs, { chownSync, lstatSync, mkdirSync, readdirSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readRegistry, writeRegistry } from '../../src/host/registry.ts';
import { requireSettings } from '../../src/settings.ts';
import { prepareRepositoriesFolder, probeRepositories } from '../../src/start/repositories-folder.ts';
import { keyNumber } from '../accounts/any.ts';
import { interceptSystem, systemError } from '../reconcile/failing-system.ts';
import { passBelow, type ScratchRoot, scratchRoot } from '../reconcile/scratch-root.ts';

let scratch: ScratchRoot;
let undo: () => void = () => {};
beforeEach(() => {
  scratch = scratchRoot();
});
afterEach(() => {
  undo();
  undo = () => {};
  scratch.remove();
});

const KEY = `${keyNumber(1).type} ${keyNumber(1).blob}`;
const OWN = requireSettings({});
const SHARED = requireSettings({ IDENTITIES: 'shared' });

/** A file system that answers every change of owner with this error. test/e2e/shared-identities.test.ts has real ones. */
const refuseOwners = (code: string): void => {
  undo = interceptSystem((call) => {
    if (call.name === 'chownSync' && /\/repos(\/|$)/.test(call.path)) throw systemError(code, call);
  });
};
const ignoreOwners = (): void => {
  const original = fs.chownSync;
  fs.chownSync = () => {};
  syncBuiltinESMExports();
  undo = () => {
    fs.chownSync = original;
    syncBuiltinESMExports();
  };
};
const refusal = (settings: typeof OWN): Error | null => {
  try {
    prepareRepositoriesFolder(scratch.places, settings);
    return null;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
};

describe('a file system that cannot change owners', () => {
  it.each(['EPERM', 'EINVAL', 'EOPNOTSUPP'])('ends the start with the way out: %s', (code) => {
    refuseOwners(code);
    const error = refusal(OWN);
    expect(error?.message).toContain('set IDENTITIES=shared');
    expect(error?.cause).toMatchObject({ code: 'fixed-owners', found: `chown: ${code}` });
  });

  it('ends the start also if chown succeeds and changes nothing', () => {
    ignoreOwners();
    expect(refusal(OWN)?.cause).toMatchObject({ code: 'fixed-owners', found: 'chown changes nothing' });
    expect(readdirSync(scratch.places.state)).toEqual([]);
  });

  it('is not confused with one that is full or broken', () => {
    chownSync(scratch.places.repos, 1000, 1000);
    refuseOwners('EIO');
    expect(refusal(OWN)?.cause).toMatchObject({ code: 'unusable-repositories' });
  });

  it('does not matter with shared identities: the start only needs that PUID can write', () => {
    expect(refusal(SHARED)).toBeNull();
    expect(probeRepositories(scratch.places, SHARED)).toMatchObject({ kind: 'kept' });
    refuseOwners('EPERM');
    expect(probeRepositories(scratch.places, SHARED)).toEqual({ kind: 'refused', code: 'EPERM' });
    // Here everything is root's, as on a mount without uid= and gid=. So PUID cannot write.
    const error = refusal(SHARED);
    expect(error?.message).toContain('uid=1000,gid=1000');
    expect(error?.cause).toMatchObject({ code: 'unusable-repositories' });
    expect(readdirSync(scratch.places.state)).toEqual([]);
  });

  it('never needs a repair of a folder: what is made there gets its owner from the mount', async () => {
    const shared = scratchRoot({ IDENTITIES: 'shared' });
    try {
      mkdirSync(join(shared.places.repos, 'web01'), { mode: 0o755 });
      for (const name of ['web01', 'web02']) shared.declare(`repos/${name}`, `${KEY}\n`);
      refuseOwners('EPERM');
      const report = await shared.pass();
      expect(report.findings).toEqual([]);
      expect(report.changes.map(({ kind, account }) => `${kind} ${account}`)).toEqual([
        ...['account-added web01', 'account-added web02', 'repository-created web02'],
      ]);
      expect((await shared.pass()).changes).toEqual([]);
      expect(lstatSync(join(shared.places.repos, 'web01'))).toMatchObject({ uid: 0, gid: 0, mode: 0o40755 });
    } finally {
      shared.remove();
    }
  });
});

describe('the way back to uids of their own', () => {
  it('leads to the uids from before', async () => {
    const shared = scratchRoot({ IDENTITIES: 'shared' });
    try {
      writeRegistry(shared.places.state, { highWater: 10_041, uids: { web01: 10_041 }, roles: ['repo'] });
      shared.declare('repos/web01', `${KEY}\n`);
      await shared.pass();
      expect([...shared.running().values()].map(({ uid }) => uid)).toEqual([1000]);
      expect(readRegistry(shared.places.state).registry).toMatchObject({ highWater: 10_041, uids: { web01: 10_041 } });
      const own = await passBelow(shared.root);
      expect(own.changes.map(({ kind }) => kind)).toContain('repository-adopted');
      expect(lstatSync(join(shared.places.repos, 'web01'))).toMatchObject({ uid: 10_041, gid: 10_041 });
    } finally {
      shared.remove();
    }
  });
});
