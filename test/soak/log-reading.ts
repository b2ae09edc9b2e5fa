import type { Server } from '../e2e/harness/server.ts';

/** What the model can explain. Anything else at level error is a failure. */
export type Explained = {
  /** `CODE NAME` of findings that were or may have been there for a moment. */
  readonly findings: ReadonlySet<string>;
  /** How often the run itself killed sshd, killed the session host, and had a start refused. */
  readonly sshdKilled: number;
  readonly hostKilled: number;
  readonly startsRefused: number;
};

const NEVER = [
  'session killed: it did not end by itself',
  'the sessions could not be looked at; it is tried again',
  'stopping: killed sessions that did not end; their locks are cleared at the next start',
];

/** Reads the server's log piece by piece. */
export const createLogReading = (server: Server) => {
  let read = 0;
  let sshdEnded = 0;
  let hostEnded = 0;
  let refused = 0;

  const fault = (line: Readonly<Record<string, unknown>>, explained: Explained): boolean => {
    const { level, msg, file } = line;
    if (typeof msg !== 'string' || NEVER.includes(msg)) return true;
    if (level === 'warn' && msg.startsWith('the session host ')) {
      // The run makes a session host fail only by SIGKILL. Any other warning about one is a fault.
      if (!msg.startsWith('the session host does not run') || !String(line.error).endsWith(' SIGKILL')) return true;
      hostEnded += 1;
      return hostEnded > explained.hostKilled;
    }
    if (level !== 'error' && level !== 'fatal') return false;
    if (/^(?:the log of )?sshd has ended/.test(msg)) {
      sshdEnded += 1;
      return sshdEnded > explained.sshdKilled;
    }
    if (msg === 'the server cannot start') {
      refused += 1;
      return refused > explained.startsRefused;
    }
    // This line comes beside the finding that stops the updates.
    if (msg.startsWith('updates are stopped')) return false;
    const name = String(file)
      .split('/')
      .at(-1)
      ?.replace(/\.pub$/, '');
    return !explained.findings.has(`${msg} ${name}`);
  };

  return {
    /** The lines since the last call that nothing explains. */
    unexplained: (explained: Explained): readonly string[] => {
      const log = server.log();
      const end = log.lastIndexOf('\n') + 1;
      const lines = log.slice(read, end).split('\n');
      read = end;
      return lines.filter((line) => line.startsWith('{') && fault(JSON.parse(line), explained));
    },
    tail: (): string => server.log().split('\n').slice(-80).join('\n'),
  };
};
