import type { Places } from '../places.ts';
import type { PassReport } from '../reconcile/pass.ts';
import { passAlone } from '../reconcile/pass-alone.ts';
import type { Preparing } from '../reconcile/prepare.ts';
import { requireSettings } from '../settings.ts';

/** `update-borgusers` where no server answers, by the settings of this environment. @throws what requireSettings and passAlone throw */
export const updateAlone = (
  places: Places,
  dryRun: boolean,
  onPreparing: (now: Preparing | null) => void,
): Promise<PassReport> => passAlone(requireSettings(process.env), places, dryRun, onPreparing);
