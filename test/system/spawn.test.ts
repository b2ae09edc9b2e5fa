import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { execa } from 'execa';
import { describe, expect, it, vi } from 'vitest';
import { spawnSafely } from '../../src/system/spawn.ts';

describe('a program', () => {
  it('is started with the streams that were asked for', async () => {
    const { child, stdin, stdout } = spawnSafely('cat', [], { stdio: ['pipe', 'pipe', 'ignore'] });
    stdin.end('heard');
    expect(await text(stdout)).toBe('heard');
    expect(child.exitCode ?? (await once(child, 'exit'))[0]).toBe(0);
  });

  it.each([
    ['does not exist', '/no/such/program', 'ENOENT'],
    // Node throws this, as it throws where there is no memory.
    ['has a name that cannot be', '/bin/tr\0ue', 'ERR_INVALID_ARG_VALUE'],
  ])('that %s is an error event, and has streams', async (_, file, code) => {
    const { child, stdin, stdout } = spawnSafely(file, [], {});
    stdin.on('error', () => {});
    stdin.write('nobody reads this');
    stdout.resume();
    expect((await once(child, 'error').catch((error) => [error]))[0]).toMatchObject({ code });
  });

  it('that could not be started is never signalled: nobody has its pid', async () => {
    const { child } = spawnSafely('/no/such/program', [], {});
    // Node keeps it until the error event.
    const asksTheKernel = vi.spyOn(Reflect.get(child, '_handle'), 'kill');
    expect([child.pid, child.kill('SIGCONT')]).toEqual([undefined, false]);
    await once(child, 'error');
    expect(child.kill('SIGCONT')).toBe(false);
    expect(asksTheKernel).not.toHaveBeenCalled();
  });
});

/** What test/system/full-table.ts says. 60 files are enough for Node itself. */
const withFullTable = async (what: string): Promise<unknown> => {
  const script = `${import.meta.dirname}/full-table.ts`;
  const { stdout } = await execa('prlimit', ['--nofile=60', process.execPath, script, what]);
  return JSON.parse(stdout);
};

describe('with a full table of files', () => {
  it.each([
    ['a program', 'plain', { error: 'spawn /bin/true EMFILE' }],
    ['a session host', 'host', { ready: false, ended: 'spawn /usr/bin/python3 EMFILE' }],
    ['what hears how sessions end', 'outcomes', { trouble: 'spawn /usr/bin/python3 EMFILE' }],
  ])('%s is not started, this is told, and the daemon goes on', async (_, what, told) => {
    expect(await withFullTable(what)).toEqual(told);
  });
});
