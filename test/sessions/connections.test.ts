import { describe, expect, it } from 'vitest';
import { listConnections } from '../../src/sessions/connections.ts';
import { process_ } from './process-list.ts';

const LISTENER = { pid: 50, start: 90 };
const listener = process_(50, 10, { start: 90 });
const isAccount = (uid: number): boolean => uid >= 10_000;
const NOBODY: ReadonlySet<string> = new Set();
const list = (processes: Parameters<typeof listConnections>[0], known = NOBODY) =>
  listConnections(processes, LISTENER, known, isAccount);

describe('a connection', () => {
  it('is a child of the listener that is root’s, whatever it calls itself', () => {
    const processes = [listener, process_(60, 50), process_(61, 60, { uid: 10_001 })];
    expect(list(processes)).toEqual([{ pid: 60, start: 100, uid: 10_001, below: [61] }]);
  });

  it('is not logged in while nothing below it runs as an account', () => {
    expect(list([listener, process_(60, 50), process_(61, 60, { uid: 105 })])).toMatchObject([{ uid: null }]);
  });

  it('is not a process that looks like one elsewhere, nor one that runs as an account itself', () => {
    const elsewhere = [process_(60, 1), process_(61, 60, { uid: 10_001 })];
    expect(list([listener, ...elsewhere, process_(62, 50, { uid: 10_001 })])).toEqual([]);
  });

  it('tells of all that runs over it', () => {
    const below = [process_(61, 60, { uid: 10_001 }), process_(62, 61, { uid: 10_001 })];
    expect(list([listener, process_(60, 50), ...below])).toMatchObject([{ below: [61, 62] }]);
  });
});

describe('when the listener has ended', () => {
  const below = process_(61, 60, { uid: 10_001 });

  it('a connection that was known before is still one', () => {
    expect(list([process_(60, 1)], new Set(['60 100']))).toHaveLength(1);
  });

  it('a connection that was not known before is recognised by the account that runs below it', () => {
    expect(list([process_(60, 1), below, process_(70, 1)])).toMatchObject([{ pid: 60, uid: 10_001 }]);
  });

  it('another process with its pid is not the listener', () => {
    expect(list([process_(50, 1, { start: 200 }), process_(60, 50)])).toEqual([]);
  });
});
