import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Places, placesBelow } from '../../src/places.ts';
import { acquireLease, type Lease, requireLease } from '../../src/start/lease.ts';
import { until } from '../e2e/harness/machine.ts';

let root: string;
let places: Places;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'lease-'));
  places = placesBelow(root);
  mkdirSync(places.repos);
});
afterEach(() => rmSync(root, { recursive: true }));

const taken = async (): Promise<Lease> => {
  const lease = await acquireLease(places);
  if ('heldBy' in lease) throw new Error('somebody holds the lease');
  return lease;
};

/** Another process that takes the lease and keeps it until it is killed. */
const otherProcess = async () => {
  const module = join(import.meta.dirname, '../../src/start/lease.ts');
  const script = `
    import { acquireLease } from ${JSON.stringify(module)};
    import { spawn } from 'node:child_process';
    const lease = await acquireLease(${JSON.stringify(places)});
    const child = spawn('sleep', ['60']);
    console.log('heldBy' in lease ? 'refused' : 'held', child.pid);
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await once(child.stdout, 'data');
  const [verdict, pid] = String(line).trim().split(' ');
  return {
    verdict,
    end: async () => {
      child.kill('SIGKILL');
      await once(child, 'exit');
      return { killItsChild: () => process.kill(Number(pid), 'SIGKILL') };
    },
  };
};

describe('the lease on /repos', () => {
  test('is held by one process at a time', async () => {
    const lease = await taken();
    const other = await otherProcess();
    expect(other.verdict).toBe('refused');
    (await other.end()).killItsChild();
    await lease.release();
    await (await taken()).release();
  });

  test('is refused within one process, too', async () => {
    const lease = await taken();
    expect(await acquireLease(places)).toEqual({ heldBy: 'another' });
    await expect(requireLease(places, 'stop it first')).rejects.toMatchObject({
      message: expect.stringContaining('uses these repositories'),
      cause: { code: 'lease-held', path: places.repos, remedy: 'stop it first' },
    });
    await lease.release();
    await lease.release();
    await (await requireLease(places, 'stop it first')).release();
  });

  test('is free after kill -9 of its holder, even if a child of the holder lives on', async () => {
    const other = await otherProcess();
    expect(other.verdict).toBe('held');
    expect(await acquireLease(places)).toEqual({ heldBy: 'another' });
    const { killItsChild } = await other.end();
    const lease = await until('the lease to be free', (saw) =>
      taken().catch((error: unknown) => {
        saw(error);
        return undefined;
      }),
    );
    killItsChild();
    await lease.release();
  });

  test('makes a state folder that can be searched and not listed, whatever the umask', async () => {
    const before = process.umask(0o077);
    await (await taken()).release();
    process.umask(before);
    expect(statSync(places.state).mode & 0o7777).toBe(0o711);
  });

  test('follows no link in the place of the lease', async () => {
    mkdirSync(places.state);
    writeFileSync(join(root, 'elsewhere'), 'kept');
    symlinkSync(join(root, 'elsewhere'), join(places.state, 'lease'));
    await expect(acquireLease(places)).rejects.toMatchObject({ code: 'ELOOP' });
    expect(readFileSync(join(root, 'elsewhere'), 'utf8')).toBe('kept');
  });

  test('follows no link in the place of the state folder', async () => {
    mkdirSync(join(root, 'elsewhere'));
    symlinkSync(join(root, 'elsewhere'), places.state);
    await expect(acquireLease(places)).rejects.toMatchObject({ cause: { code: 'lease-failed' } });
  });
});
