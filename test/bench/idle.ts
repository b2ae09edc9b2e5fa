import { readdirSync, readlinkSync } from 'node:fs';
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
    {
      ...{ part: 'f', what: `all its processes at rest, RSS, ${count} accounts`, unit: 'MB' },
      ...{ ours: together(daemon), note: 'daemon, sshd’s listener, tini; pages they share counted for each' },
    },
    {
      ...{ part: 'f', what: 'health check, CPU seconds an hour', unit: 's/h' },
      ...{
        ours: (await healthCheckCpu(server)) * HEALTH_CHECKS,
        note: `apart from the daemon; ${HEALTH_CHECKS} an hour`,
      },
    },
  ];
};

/** Health checks in an hour, by the image's HEALTHCHECK. */
const HEALTH_CHECKS = 60;

/** CPU seconds of one: of five, by the shell's own count of what its children used. */
const healthCheckCpu = async (server: Server): Promise<number> => {
  const { stdout } = await server.exec(['bash', '-c', 'for i in 1 2 3 4 5; do borgserver healthcheck; done; times']);
  const [, user = 0, system = 0] = /(\d+\.\d+)s 0m(\d+\.\d+)s\s*$/.exec(stdout)?.map(Number) ?? [];
  return (user + system) / 5;
};

/** Memory of every process that shares the daemon's PID namespace, in MB. */
const together = (daemon: number): number => {
  const namespace = (pid: number | string): string => readlinkSync(`/proc/${pid}/ns/pid`);
  const own = namespace(daemon);
  const rss = (pid: string): number => {
    try {
      return namespace(pid) === own ? memoryOf(Number(pid)) : 0;
    } catch {
      // It has ended meanwhile, or belongs to the kernel.
      return 0;
    }
  };
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .reduce((sum, pid) => sum + rss(pid), 0);
};
