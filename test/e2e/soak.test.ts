import { expect, test } from 'vitest';
import { soak } from '../soak/run.ts';

/** At most one deck. A restart and the end of the session host are among its first steps. `npm run soak` goes on for half an hour, with a random seed. */
const SHORT = { seed: 26, minutes: 0.75 };

test('three quarters of a minute of changes, logins, backups and restarts go as the model says', async () => {
  const { steps, logins, restarts, hostsKilled } = await soak({ ...SHORT, say: () => {} });
  expect(steps).toBeGreaterThan(5);
  expect(logins).toBeGreaterThan(steps);
  expect(restarts).toBeGreaterThan(0);
  expect(hostsKilled).toBeGreaterThan(0);
});
