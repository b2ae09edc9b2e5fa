import { setTimeout } from 'node:timers/promises';
import type { Server } from '../e2e/harness/server.ts';
import type { Row } from './measure.ts';
import { cpuOf, memoryOf } from './session.ts';

/** Long enough for the daemon to have given back what the last pass left (2 s). */
const REST_MS = 5000;
const IDLE_MS = 20_000;
/** Periodic passes in an hour: RESYNC_SECONDS is 300. */
const PASSES = 12;

/** (f) What the daemon needs with nothing to do: memory after some passes, and CPU, the periodic pass included. */
export const benchIdle = async (server: Server, daemon: number, count: number): Promise<Row[]> => {
  await setTimeout(3 * REST_MS);
  const start = cpuOf(daemon);
  await setTimeout(IDLE_MS);
  const idle = cpuOf(daemon) - start;
  const before = cpuOf(daemon);
  for (let round = 0; round < 5; round += 1) {
    await server.exec(['update-borgusers']);
    await setTimeout(REST_MS);
  }
  // Resting is in it, too: what the pass and its clearing up cost is the rest.
  const pass = (cpuOf(daemon) - before - (idle * 5 * REST_MS) / IDLE_MS) / 5;
  return [
    {
      ...{ part: 'f', what: `daemon at rest, RSS, ${count} accounts`, unit: 'MB', ours: memoryOf(daemon) },
      ...{
        goal: { of: 'ours', limit: count <= 1000 ? 90 : 200 },
        note: `at most ${Math.round(memoryOf(daemon, 'VmHWM'))} MB`,
      },
    },
    {
      ...{ part: 'f', what: `daemon, CPU seconds an hour, ${count} accounts`, unit: 's/h' },
      ...{ ours: (idle * 3_600_000) / IDLE_MS + pass * PASSES, goal: { of: 'ours', limit: 20 } },
      note: `${(pass * 1000).toFixed(0)} ms a periodic pass, ${PASSES} an hour`,
    },
  ];
};
