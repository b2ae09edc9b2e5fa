import { describe, expect, it } from 'vitest';
import { sshdLog } from '../../src/daemon/sshd-log.ts';
import { createLog } from '../../src/log.ts';
import type { Settings } from '../../src/settings.ts';
import { parseLogLine } from '../../src/sshd/log.ts';

const TROUBLE = 'Authentication refused: bad ownership or modes for directory /run';

const SSHD = { pid: 7, uid: 0, parent: 1, start: 100 };

/** What is written about lines of sshd at a level. */
const written = (level: Settings['SSH_LOG_LEVEL'], lines: readonly string[], writer = SSHD) => {
  const log = createLog({ LOG_FORMAT: 'json', LOG_LEVEL: 'error' });
  const told: { level: string; facts: { sshd?: string } }[] = [];
  for (const name of ['info', 'warn', 'error'] as const)
    log[name] = ((facts: { sshd?: string }) => told.push({ level: name, facts })) as typeof log.info;
  const hear = sshdLog(level, log, { message: ({ text }) => parseLogLine(text) });
  for (const text of lines) hear({ ...writer, text });
  return told;
};

describe('the lines of sshd themselves', () => {
  it('are not shown at INFO and below, except for what an operator has to cure', () => {
    for (const level of ['INFO', 'ERROR', 'QUIET'] as const) {
      expect(written(level, ['Server listening on ::1 port 22.', TROUBLE])).toEqual([
        { level: 'error', facts: { sshd: TROUBLE } },
      ]);
    }
  });

  it('are no trouble where a tenant’s process has written them', () => {
    expect(written('INFO', [TROUBLE], { ...SSHD, uid: 10_000 })).toEqual([]);
  });

  it('are shown at VERBOSE and DEBUG, without anything that moves a terminal', () => {
    const [told] = written('VERBOSE', ['Invalid user \u001b[2J\u202e\nx from 10.0.0.9 port 1']);
    expect(told?.facts.sshd).toBe('Invalid user \\u{1b}[2J\\u{202e}\\u{a}x from 10.0.0.9 port 1');
  });

  it('do not fill the disk, however many there are', () => {
    const knocks = Array.from({ length: 10_000 }, (_, port) => `Invalid user x from 10.0.0.9 port ${port}`);
    expect(written('DEBUG', knocks).length).toBeLessThan(1000);
    expect(written('INFO', Array<string>(10_000).fill(TROUBLE)).length).toBeLessThan(50);
  });
});
