import { type ProgramOptions, type Running, run } from './program.ts';

export type TerminalOptions = Omit<ProgramOptions, 'input'> & { readonly columns?: number; readonly rows?: number };

/**
 * Runs a program on a pseudo terminal of its own (script(1)). `stdout` has what it shows there on both streams, with the
 * terminal's line ends (CR LF). What the test writes to `stdin` is typed; `\x03` is Ctrl-C.
 */
export const runOnTerminal = (
  words: readonly string[],
  base: Readonly<Record<string, string | undefined>>,
  { columns = 100, rows = 30, ...options }: TerminalOptions = {},
): Running => {
  const quoted = words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
  const command = `stty cols ${columns} rows ${rows}; exec ${quoted}`;
  return run(
    'script',
    ['--quiet', '--return', '--command', command, '/dev/null'],
    { ...base, TERM: 'xterm', SHELL: '/bin/sh' },
    { ...options, input: 'pipe' },
  );
};
