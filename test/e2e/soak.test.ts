import { expect, test } from 'vitest';
import { soak } from '../soak/run.ts';

/** Restarts and the end of the session host are among these steps. `npm run soak` goes on for half an hour, with a random seed. */
const SHORT = { seed: 26, length: { steps: 20 } };

test('twenty steps of changes, logins, backups and restarts go as the model says', async () => {
  const { logins, restarts, hostsKilled } = await soak({ ...SHORT, say: () => {} });
  expect(logins).toBeGreaterThan(SHORT.length.steps);
  // The last one is the end of every run.
  expect(restarts).toBeGreaterThan(1);
  expect(hostsKilled).toBeGreaterThan(0);
});
