import { writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { findBorg } from '../../../src/borg/interpreter.ts';

/**
 * Gets an errno, numbers of system calls with a comma between them, and a command, and starts the command. For the command, these calls fail with this
 * errno, as under a profile of seccomp (seccomp(2), SECCOMP_MODE_FILTER).
 */
const PROGRAM = `
import ctypes, os, struct, sys
LOAD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ERRNO = 0x7fff0000, 0x00050000
step = lambda code, yes, no, k: struct.pack('HBBI', code, yes, no, k)
calls = [int(each) for each in sys.argv[2].split(',')]
filter = step(LOAD, 0, 0, 0) + b''.join(step(JUMP_EQUAL, len(calls) - at, 0, call) for at, call in enumerate(calls))
filter += step(RETURN, 0, 0, ALLOW) + step(RETURN, 0, 0, ERRNO | int(sys.argv[1]))
buffer = ctypes.create_string_buffer(filter)
program = struct.pack('HxxxxxxP', len(filter) // 8, ctypes.addressof(buffer))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.create_string_buffer(program), 0, 0) == 0, ctypes.get_errno()
os.execvp(sys.argv[3], sys.argv[3:])
`;

/** An older kernel says ENOSYS, as do some profiles; others say EPERM. */
export type Refusal = 'ENOSYS' | 'EPERM';

/** The words that make a command run without Landlock, when they stand before it. @param folder where a file can be made */
export const withoutLandlock = (folder: string, refusal: Refusal): readonly string[] =>
  withoutCalls(folder, refusal, [444, 445, 446]);

/** The same for renameat2(2), which each machine has under a number of its own. */
export const withoutExchange = (folder: string): readonly string[] =>
  withoutCalls(folder, 'ENOSYS', [process.arch === 'x64' ? 316 : 276]);

const withoutCalls = (folder: string, refusal: Refusal, calls: readonly number[]): readonly string[] => {
  const file = join(folder, 'without-calls.py');
  writeFileSync(file, PROGRAM);
  return [findBorg().python, '-I', file, String(constants.errno[refusal]), calls.join(',')];
};

/** The same for a container: a file for compose, which has to be read after the shipped one. */
export const composeWithoutLandlock = (folder: string, refusal: Refusal): string => {
  const profile = join(folder, 'seccomp.json');
  const names = ['landlock_create_ruleset', 'landlock_add_rule', 'landlock_restrict_self'];
  const rule = { names, action: 'SCMP_ACT_ERRNO', errnoRet: constants.errno[refusal] };
  writeFileSync(profile, JSON.stringify({ defaultAction: 'SCMP_ACT_ALLOW', syscalls: [rule] }));
  const file = join(folder, 'without-landlock.yml');
  writeFileSync(file, `services:\n  borgserver:\n    security_opt:\n      - seccomp=${profile}\n`);
  return file;
};
