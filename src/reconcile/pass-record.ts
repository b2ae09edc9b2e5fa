import type { Finding } from '../accounts/finding.ts';
import type { Pass, PassReport } from './pass.ts';

/** How the last pass went, for `borgserver status`. */
export type LastPass = {
  /** Milliseconds since the epoch, and how long it took in milliseconds. */
  readonly at: number;
  readonly took: number;
  /** How many changes it made. */
  readonly changes: number;
  /** When a pass last changed something, milliseconds since the epoch; null: none since the start. */
  readonly changed: number | null;
  readonly stopped: boolean;
  readonly failed: string | null;
};

/**
 * Remembers the last real pass. One that threw is remembered as failed. The accounts and findings are then still those of the
 * last pass that finished.
 */
export const createPassRecord = (describe: (error: unknown) => string, now: () => number) => {
  let last: LastPass | null = null;
  let accounts: PassReport['accounts'] = [];
  let findings: readonly Finding[] = [];

  const note = (
    at: number,
    { changes, stopped, failed }: Pick<PassReport, 'stopped' | 'failed'> & { changes: number },
  ) => {
    last = {
      at,
      took: Math.max(0, now() - at),
      changes,
      changed: changes > 0 ? at : (last?.changed ?? null),
      stopped,
      failed,
    };
  };

  return {
    /** The same pass, with a listener. */
    heard:
      (pass: Pass): Pass =>
      async (request, signal) => {
        const at = now();
        try {
          const report = await pass(request, signal);
          if (request.dryRun) return report;
          note(at, { ...report, changes: report.changes.length });
          ({ accounts, findings } = report);
          return report;
        } catch (error) {
          if (!request.dryRun) note(at, { changes: 0, stopped: false, failed: describe(error) });
          throw error;
        }
      },
    last: (): LastPass | null => last,
    accounts: (): PassReport['accounts'] => accounts,
    findings: (): readonly Finding[] => findings,
  };
};

export type PassRecord = ReturnType<typeof createPassRecord>;
