import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import type { Server } from '../e2e/harness/server.ts';
import { median, type Row } from './measure.ts';
import { cpuOf, memoryOf } from './session.ts';

/** Long enough for the daemon to have given back what the last pass left (2 s). */
const REST_MS = 5000;
const IDLE_MS = 20_000;
const ROUNDS = 5;
/** Periodic passes in an hour: RESYNC_SECONDS is 300. */
const PASSES = 12;

/** (f) What the daemon needs with nothing to do: memory after some passes, and CPU, the periodic pass included. */
export const benchIdle = async (server: Server, daemon: number, count: number): Promise<Row[]> => {
  await setTimeout(3 * REST_MS);
  const idles: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const start = cpuOf(daemon);
    await setTimeout(IDLE_MS);
    idles.push((cpuOf(daemon) - start) / IDLE_MS);
  }
  const idle = median(idles);
  const passes: number[] = [];
  const rests: number[] = [];
  const all: { readonly together: number; readonly sshd: number }[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const before = cpuOf(daemon);
    await server.exec(['update-borgusers']);
    await setTimeout(REST_MS);
    // The figure includes the rest after the pass. Without what the rest costs, it is the pass and its clearing up.
    passes.push(cpuOf(daemon) - before - idle * REST_MS);
    rests.push(memoryOf(daemon));
    all.push(memoryOfAll(daemon));
  }
  const [pass, rest] = [median(passes), median(rests)];
  const checks = (await healthCheckCpu(server)) * HEALTH_CHECKS;
  return [
    {
      ...{ part: 'f', what: `daemon at rest, RSS, ${count} accounts`, unit: 'MB', ours: rest },
      ...{
        beside: { what: 'sshd’s listener', figure: median(all.map(({ sshd }) => sshd)) },
        goal: { of: 'ours', limit: count <= 1000 ? 90 : 200 },
        note: `at most ${Math.round(memoryOf(daemon, 'VmHWM'))} MB`,
      },
    },
    {
      ...{ part: 'f', what: `daemon, CPU seconds an hour, ${count} accounts`, unit: 's/h' },
      ...{ ours: idle * 3_600_000 + pass * PASSES, beside: { what: 'its health check', figure: checks } },
      ...{ goal: { of: 'ours', limit: 20 }, note: `${(pass * 1000).toFixed(0)} ms a periodic pass, ${PASSES} an hour` },
    },
    {
      ...{ part: 'f', what: `all its processes at rest, RSS, ${count} accounts`, unit: 'MB' },
      ...{ ours: median(all.map(({ together }) => together)), beside: { what: 'the daemon', figure: rest } },
      note: 'daemon, sshd’s listener, session host, tini; pages they share counted for each',
    },
  ];
};

/** Health checks in an hour, by the image's HEALTHCHECK; counted apart from the daemon. */
const HEALTH_CHECKS = 60;

/** CPU seconds of one health check. The shell counts what five of them use. */
const healthCheckCpu = async (server: Server): Promise<number> => {
  const { stdout } = await server.exec(['bash', '-c', 'for i in 1 2 3 4 5; do borgserver healthcheck; done; times']);
  const [, user = 0, system = 0] = /(\d+\.\d+)s 0m(\d+\.\d+)s\s*$/.exec(stdout)?.map(Number) ?? [];
  return (user + system) / 5;
};

/** Memory in MB of all processes that share the daemon's PID namespace, and of sshd among them. */
const memoryOfAll = (daemon: number): { readonly together: number; readonly sshd: number } => {
  const namespace = (pid: number | string): string => readlinkSync(`/proc/${pid}/ns/pid`);
  const own = namespace(daemon);
  const found = readdirSync('/proc').flatMap((pid) => {
    try {
      if (!/^\d+$/.test(pid) || namespace(pid) !== own) return [];
      return [{ memory: memoryOf(Number(pid)), name: readFileSync(`/proc/${pid}/comm`, 'utf8').trim() }];
    } catch {
      // The process has ended meanwhile, or belongs to the kernel.
      return [];
    }
  });
  const sum = (of: typeof found): number => of.reduce((all, { memory }) => all + memory, 0);
  return { together: sum(found), sshd: sum(found.filter(({ name }) => name === 'sshd')) };
};
