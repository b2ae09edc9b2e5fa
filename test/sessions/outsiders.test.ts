import { describe, expect, it } from 'vitest';
import { listConnections } from '../../src/sessions/connections.ts';
import { outsiders } from '../../src/sessions/outsiders.ts';
import type { Process } from '../../src/sessions/process.ts';
import { process_ } from './process-list.ts';

const LISTENER = { pid: 50, start: 90 };
const DAEMON = 10;
const isAccount = (uid: number): boolean => uid >= 10_000;
const server = [process_(1, 0, { start: 1 }), process_(DAEMON, 1, { start: 2 }), process_(50, DAEMON, { start: 90 })];
const TENANT = { uid: 10_001 };

const found = (...more: readonly Process[]): readonly number[] => {
  const processes = [...server, ...more];
  const connections = listConnections(processes, LISTENER, new Set(), isAccount);
  return outsiders(processes, connections, LISTENER, isAccount).map(({ pid }) => pid);
};

describe('a process of an account’s', () => {
  it('that runs below a connection is in order', () => {
    expect(found(process_(60, 50), process_(61, 60, TENANT), process_(62, 61, TENANT))).toEqual([]);
  });

  it('that the first process has adopted is an outsider, and so is what it has started', () => {
    expect(found(process_(62, 1, TENANT), process_(63, 62, TENANT))).toEqual([62, 63]);
  });

  it('that root has started is in order: here, or from outside of the namespace (docker exec)', () => {
    expect(found(process_(70, DAEMON, TENANT), process_(80, 0), process_(81, 80, TENANT))).toEqual([]);
    expect(found(process_(82, 0, TENANT))).toEqual([]);
  });

  it('that root has started in the background is in order, too', () => {
    expect(found(process_(80, 1), process_(81, 80, TENANT))).toEqual([]);
  });

  it('whose parent has just ended is looked at again', () => {
    expect(found(process_(62, 61, TENANT))).toEqual([]);
  });

  it('that began before sshd, or waits to be reaped, does not count', () => {
    expect(found(process_(62, 1, { ...TENANT, start: 89 }), process_(63, 1, { ...TENANT, ended: true }))).toEqual([]);
  });
});

it('processes of anybody else do not count', () => {
  expect(found(process_(62, 1), process_(63, 1, { uid: 999 }))).toEqual([]);
});
