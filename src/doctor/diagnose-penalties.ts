import type { Settings } from '../settings.ts';
import { unknownPenalties } from '../sshd/penalties.ts';
import { probeSshd } from '../sshd/probe.ts';
import { printable } from '../text/printable.ts';
import { type Diagnosis, warning } from './diagnosis.ts';

/** Whether the installed sshd shuts addresses out for a reason that this server does not know, and so cannot set. */
export const diagnosePenalties = async (
  settings: Pick<Settings, 'PER_SOURCE_PENALTIES'>,
): Promise<readonly Diagnosis[]> => {
  // Without an sshd there is more to report. The check of the roles does that.
  const found = await probeSshd().catch(() => null);
  return found ? penaltyDiagnoses(settings, found.penalties) : [];
};

/** @param classes what this sshd punishes: the classes of its PerSourcePenalties */
export const penaltyDiagnoses = (
  settings: Pick<Settings, 'PER_SOURCE_PENALTIES'>,
  classes: readonly string[],
): readonly Diagnosis[] => {
  const unknown = unknownPenalties(classes);
  return settings.PER_SOURCE_PENALTIES !== 'unauthenticated' || unknown.length === 0
    ? []
    : [
        warning(
          'penalties',
          `this sshd also shuts addresses out for ${printable(unknown.join(', '))}, which the server does not know`,
          'update borgserver; until then, where clients share an address, set PER_SOURCE_PENALTIES=none',
        ),
      ];
};
