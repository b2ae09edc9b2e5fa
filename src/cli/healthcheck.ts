import { connect } from 'node:net';
import { askServer } from '../control/client.ts';
import { failureInLines } from '../failure.ts';
import type { Places } from '../places.ts';
import { freshAlarms } from '../sessions/alarms.ts';
import { readOnlyProblem } from '../start/read-only-disk.ts';
import { printable } from '../text/printable.ts';

/** Twice this is less than the time that Docker gives the check. */
const PATIENCE_MS = 5000;

/**
 * `borgserver healthcheck`: whether the daemon answers, its last pass did not fail, /repos can be written, and sshd really greets on its port. A
 * bad key file is a finding, and the server is still healthy.
 *
 * @returns the exit code: 0 healthy, 1 not
 */
export const runHealthcheck = async (places: Places): Promise<number> => {
  const problem = await findProblem(places).catch(failureInLines);
  console.log(problem ?? 'healthy');
  return problem === null ? 0 : 1;
};

const findProblem = async (places: Places): Promise<string | null> => {
  const health = await askServer(places.run, { command: 'ping' }, PATIENCE_MS);
  if (!health) return 'the server does not run';
  if (health.state === 'stopping') return 'the server is stopping';
  if (health.lastPassFailed !== null) return `the last update failed: ${health.lastPassFailed}`;
  const [alarm] = freshAlarms(health.alarms, Date.now());
  if (alarm) return `${printable(alarm.what)} (see the log, and borgserver doctor)`;
  return readOnlyProblem(places.repos) ?? greets(health.port);
};

const greets = (port: number): Promise<string | null> =>
  new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    const end = (problem: string | null): void => {
      socket.destroy();
      resolve(problem);
    };
    socket.setTimeout(PATIENCE_MS, () => end(`sshd does not answer on port ${port}`));
    socket.once('close', () => end(`sshd hangs up on port ${port}`));
    socket.once('error', (error) => end(`sshd does not answer on port ${port}: ${error.message}`));
    socket.once('data', (bytes) =>
      end(bytes.toString('latin1').startsWith('SSH-2.0-') ? null : `what answers on port ${port} is not sshd`),
    );
  });
