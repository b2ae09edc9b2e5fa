import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findBorg } from '../../src/borg/interpreter.ts';

/** Starts the rest of its words where the three calls of Landlock answer EPERM, as under a profile of seccomp (seccomp(2), SECCOMP_MODE_FILTER). */
const PROGRAM = `
import ctypes, os, struct, sys
LOAD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, EPERM = 0x7fff0000, 0x00050001
step = lambda code, yes, no, k: struct.pack('HBBI', code, yes, no, k)
calls = [444, 445, 446]
filter = step(LOAD, 0, 0, 0) + b''.join(step(JUMP_EQUAL, len(calls) - at, 0, call) for at, call in enumerate(calls))
filter += step(RETURN, 0, 0, ALLOW) + step(RETURN, 0, 0, EPERM)
buffer = ctypes.create_string_buffer(filter)
program = struct.pack('HxxxxxxP', len(filter) // 8, ctypes.addressof(buffer))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.create_string_buffer(program), 0, 0) == 0, ctypes.get_errno()
os.execvp(sys.argv[1], sys.argv[1:])
`;

/** The words before a command that make it run without Landlock. @param folder where a file can be made */
export const withoutLandlock = (folder: string): readonly string[] => {
  const file = join(folder, 'without-landlock.py');
  writeFileSync(file, PROGRAM);
  return [findBorg().python, '-I', file];
};
