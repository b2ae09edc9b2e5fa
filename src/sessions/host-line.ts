import * as z from 'zod';
import type { ProcessId } from './process.ts';
import type { Usage } from './usage.ts';

/** A session that the session host has forked, and for whom. */
export type HostedSession = {
  readonly process: ProcessId;
  /** The forced command that waits for it. It may be another hosted session, whose borg was taken over. */
  readonly client: ProcessId;
  /** sshd's root process above the client. */
  readonly connection: ProcessId;
  readonly uid: number;
};

/** What the session host says, a line each. */
export type HostLine =
  | { readonly event: 'ready'; readonly pid: number }
  | { readonly event: 'began'; readonly session: HostedSession }
  | { readonly event: 'ended'; readonly process: ProcessId; readonly usage: Usage }
  | { readonly event: 'asks'; readonly connection: ProcessId }
  | { readonly event: 'pong' }
  | { readonly event: 'trouble'; readonly what: string };

const pid = z.int().min(1).max(4_194_304);
/** Clock ticks since boot. */
const start = z.int().min(1);
const uid = z.int().min(1).max(4_294_967_294);
const connection = z.tuple([pid, start]).transform(([pid, start]): ProcessId => ({ pid, start }));
const ending = z.union([z.int(), z.string().max(32)]).nullable();

const format = z
  .discriminatedUnion('event', [
    z.object({ event: z.literal('ready'), pid }),
    z.object({ event: z.literal('began'), pid, start, client: pid, clientStart: start, connection, uid }),
    z.object({
      ...{ event: z.literal('ended'), pid, start, code: ending, signal: ending },
      ...{ cpu: z.number().min(0), memory: z.int().min(0) },
    }),
    z.object({ event: z.literal('asks'), connection }),
    z.object({ event: z.literal('pong') }),
    z.object({ event: z.literal('trouble'), what: z.string() }),
  ])
  .transform((line): HostLine => {
    switch (line.event) {
      case 'began': {
        const { pid, start, client, clientStart, connection, uid } = line;
        const names = { process: { pid, start }, client: { pid: client, start: clientStart }, connection };
        return { event: 'began', session: { ...names, uid } };
      }
      case 'ended': {
        const { pid, start, cpu, memory } = line;
        return { event: 'ended', process: { pid, start }, usage: { cpuSeconds: cpu, peakMemory: memory } };
      }
      default:
        return line;
    }
  });

/** Reads a line of image/session-host, without its line end; null where it is no such line, or a field is wrong. */
export const parseHostLine = (line: string): HostLine | null => {
  try {
    return format.safeParse(JSON.parse(line)).data ?? null;
  } catch {
    return null;
  }
};
