import { askServer } from '../control/client.ts';
import type { ServerStatus } from '../control/server-status.ts';
import { diagnoseDisk } from '../doctor/diagnose-disk.ts';
import { diagnoseLogin } from '../doctor/diagnose-login.ts';
import { diagnoseMachine } from '../doctor/diagnose-machine.ts';
import { findBroken } from '../doctor/diagnose-owners.ts';
import { diagnosePenalties } from '../doctor/diagnose-penalties.ts';
import { diagnoseRepositories } from '../doctor/diagnose-repositories.ts';
import { type Diagnosis, error } from '../doctor/diagnosis.ts';
import { failureInOneLine } from '../failure.ts';
import type { Places } from '../places.ts';
import { prepareRepository } from '../repositories/ownership.ts';
import { requireSettings } from '../settings.ts';
import { probeRepositories } from '../start/repositories-folder.ts';
import { surveyWithRecord } from '../survey/archive-record.ts';
import { plural } from '../text/list.ts';
import { printable } from '../text/printable.ts';
import { colouring, type Paint } from './colours.ts';
import { keepAndHold, tellChanged } from './keep-before.ts';
import { createProgress } from './progress.ts';

export type DoctorOptions = { readonly fix: boolean; readonly json: boolean };

/**
 * `borgserver doctor`: looks at everything that is known to go wrong; with `fix`, repairs owners and modes first.
 *
 * @returns the exit code by the worst line: 0 all is right, 1 a warning, 2 an error
 */
export const runDoctor = async (places: Places, options: DoctorOptions): Promise<0 | 1 | 2> => {
  const now = Date.now();
  const server = await askServer(places.run, { command: 'status' });
  if (options.fix && server) await fix(places, server);
  const surveyed = surveyWithRecord(places);
  const owned = server ? await look(places, server) : { lines: [] };
  const lines: readonly Diagnosis[] = [
    ...(await diagnoseMachine(places, requireSettings(process.env), surveyed, now)),
    ...diagnoseDisk(places),
    ...(await diagnoseLogin(places, server, now)),
    ...(await diagnosePenalties(requireSettings(process.env))),
    ...owned.lines,
    ...diagnoseRepositories(places, server, surveyed, now),
    ...(options.fix && !server
      ? [
          error(
            'fix',
            'nothing was repaired: only a running server knows the owners',
            'start it, and run this beside it',
          ),
        ]
      : []),
  ];
  console.log(options.json ? JSON.stringify(lines) : doctorText(lines, colouring(process.stdout, process.env)));
  return exitCodeOf(lines);
};

/** 0: all is right; 1: a warning; 2: an error. */
export const exitCodeOf = (lines: readonly Diagnosis[]): 0 | 1 | 2 => {
  if (lines.some(({ level }) => level === 'error')) return 2;
  return lines.some(({ level }) => level === 'warning') ? 1 : 0;
};

const WORDS = { ok: 'ok', warning: 'WARNING', error: 'ERROR' } as const;
const COLOURS = { ok: 'green', warning: 'yellow', error: 'red' } as const;

/** A line for each, and its cure below it. */
export const doctorText = (lines: readonly Diagnosis[], paint: Paint): string => {
  const width = Math.max(...lines.map(({ topic }) => topic.length));
  const count = (level: Diagnosis['level']): number => lines.filter((line) => line.level === level).length;
  return [
    ...lines.flatMap(({ level, topic, message, cure }) => [
      `${paint(WORDS[level].padEnd(7), COLOURS[level])}  ${topic.padEnd(width)}  ${message}`,
      ...(cure === null ? [] : [`${' '.repeat(width + 11)}cure: ${cure}`]),
    ]),
    '',
    `${count('ok')} ok, ${plural(count('warning'), 'warning')}, ${plural(count('error'), 'error')}`,
  ].join('\n');
};

const look = async (places: Places, server: ServerStatus) => {
  // Where the mount says who owns everything, nothing can be somebody else's.
  const fixed =
    server.identities === 'shared' && probeRepositories(places, requireSettings(process.env)).kind !== 'kept';
  if (fixed) return { broken: [], lines: [] };
  const surveyed = surveyWithRecord(places);
  const progress = createProgress('looking through repositories', surveyed.length, process.stderr);
  let done = 0;
  try {
    return await findBroken(places, server, surveyed, (name) => progress.at(done++, name));
  } finally {
    progress.end();
  }
};

/** Each whole folder, with the same steps as in an update. If one fails, that is reported and the others go on. */
const fix = async (places: Places, server: ServerStatus): Promise<void> => {
  const { broken } = await look(places, server);
  const progress = createProgress('repairing', broken.length, process.stderr);
  const interrupted = new AbortController();
  process.once('SIGINT', () => interrupted.abort());
  for (const [done, each] of broken.entries()) {
    if (interrupted.signal.aborted) break;
    const [name, { owner, why }] = [printable(each.name), each];
    progress.at(done, name);
    // Else a file could be given to its account just when it becomes root's.
    try {
      await keepAndHold(places, each.name);
      const onEntries = (_: string, entries: number) => progress.at(done, `${name}: ${entries} files and folders`);
      const handing = { name: each.name, ...owner, action: 'adopt' as const };
      await prepareRepository(places.repos, handing, onEntries, interrupted.signal);
      await tellChanged(places, each.name, 'doctor --fix');
      progress.end();
      console.error(`repaired ${name}: ${why}`);
    } catch (failure) {
      progress.end();
      console.error(`could not repair ${name}: ${failureInOneLine(failure)}`);
    }
  }
};
