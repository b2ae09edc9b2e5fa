import childProcess from 'node:child_process';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

/** The calls that a pass makes of the system. */
const CALLS = [
  ...[
    'openSync',
    'readFileSync',
    'writeSync',
    'writeFileSync',
    'readSync',
    'renameSync',
    'rmSync',
    'unlinkSync',
    'mkdirSync',
    'rmdirSync',
  ],
  ...[
    'chmodSync',
    'chownSync',
    'lchownSync',
    'fchmodSync',
    'fchownSync',
    'fsyncSync',
    'readdirSync',
    'opendirSync',
    'fstatSync',
    'readlinkSync',
    'lstatSync',
    'statSync',
    'realpathSync',
  ],
] as const;

export type Call = { readonly name: string; readonly path: string };

const { readlinkSync } = fs;

/** The path of a call. If it goes through one of our descriptors, the path of the folder that the descriptor stands for. */
const whereIs = (place: unknown): string => {
  const path = typeof place === 'number' ? `/proc/self/fd/${place}` : String(place);
  const [link] = /^\/proc\/(self|\d+)\/fd\/\d+(?=\/|$)/.exec(path) ?? [];
  return link === undefined ? path : `${readlinkSync(link)}${path.slice(link.length)}`;
};

/**
 * Calls `before` before every call of the file system and every start of a process, in the modules under test, too. `before` may throw: then
 * the call does not happen. The returned function undoes all this.
 */
export const interceptSystem = (before: (call: Call) => void): (() => void) => {
  const undo: (() => void)[] = [];
  const replace = (
    holder: object,
    name: string,
    make: (original: (...args: unknown[]) => unknown) => unknown,
  ): void => {
    const original: unknown = Reflect.get(holder, name);
    if (typeof original !== 'function') throw new Error(`no function ${name}`);
    Reflect.set(holder, name, Object.assign(make(original as (...args: unknown[]) => unknown) as object, original));
    undo.push(() => Reflect.set(holder, name, original));
  };
  for (const name of CALLS) {
    replace(fs, name, (original) => (...args: unknown[]) => {
      // A number is a file that is open already: reading it is part of the call that opened it.
      if (name !== 'readFileSync' || typeof args[0] !== 'number') before({ name, path: whereIs(args[0]) });
      return original(...args);
    });
  }
  // A network's disk may tell only at close(2) that it is full. The file is closed all the same.
  replace(fs, 'closeSync', (original) => (...args: unknown[]) => {
    const path = whereIs(args[0]);
    original(...args);
    before({ name: 'closeSync', path });
  });
  replace(childProcess, 'spawn', (original) => (...args: unknown[]) => {
    before({ name: 'spawn', path: [args[0], ...(Array.isArray(args[1]) ? args[1] : [])].join(' ') });
    return original(...args);
  });
  syncBuiltinESMExports();
  return () => {
    for (const each of undo) each();
    syncBuiltinESMExports();
  };
};

export const systemError = (code: string, { name, path }: Call): Error =>
  Object.assign(new Error(`${code}: made to fail, ${name} '${path}'`), { code });

/** The calls that change something on disk, or may. */
export const CHANGING = /^(openSync|writeSync|renameSync|rmSync|mkdirSync|f?chmodSync|f?chownSync|fsyncSync|spawn)$/;
