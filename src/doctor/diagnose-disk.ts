import { failureInOneLine } from '../failure.ts';
import { readDiskMark, readWitness, witnessFile } from '../host/witness.ts';
import type { Places } from '../places.ts';
import { foundText, judgeRepositoriesDisk, REMEDY } from '../start/repositories-disk.ts';
import { vanishedRepositories } from '../start/vanished.ts';
import { printable } from '../text/printable.ts';
import { type Diagnosis, error, warning } from './diagnosis.ts';

const PUT_BACK =
  'this is their disk, so they were moved or removed, or their folder is hidden by a mount: put them back before the next update, which makes an empty one for each account';

/** Whether /repos is still the same disk, and whether the next start would notice if it were not. Never throws. */
export const diagnoseDisk = (places: Places): readonly Diagnosis[] => {
  try {
    const { verdict } = judgeRepositoriesDisk(places);
    if (verdict.kind === 'doubtful') return [error('mounts', `${places.repos}: ${foundText(verdict)}`, REMEDY)];
    const vanished = vanishedRepositories(places);
    if (vanished !== null) return [error('mounts', `${places.repos}: ${vanished}`, PUT_BACK)];
    const [mark, witness] = [readDiskMark(places), readWitness(places)];
    const isKept = mark === null || (witness !== null && witness !== 'damaged' && witness.disk === mark);
    return isKept
      ? []
      : [
          warning(
            'mounts',
            `a start without the disk of ${places.repos} would not be noticed: ${witnessFile(places)} is not kept`,
            'let the server write in its folder (a volume of its own, or no read-only mount), then update-borgusers',
          ),
        ];
  } catch (failure) {
    return [
      error(
        'mounts',
        `${places.repos}: ${printable(failureInOneLine(failure))}`,
        'see that it is mounted, and check the disk',
      ),
    ];
  }
};
