import { expect, test } from 'vitest';
import { diagnosePenalties, penaltyDiagnoses } from '../../src/doctor/diagnose-penalties.ts';
import { requireSettings } from '../../src/settings.ts';

test('the installed sshd punishes nothing that the server does not know', async () => {
  expect(await diagnosePenalties(requireSettings({}))).toEqual([]);
});

test('a class of a later sshd is a warning where the server is to say who is punished', () => {
  const classes = ['crash', 'authfail', 'slowness', 'noauth'];
  expect(penaltyDiagnoses(requireSettings({}), classes)).toEqual([
    expect.objectContaining({
      level: 'warning',
      topic: 'penalties',
      message: expect.stringContaining('for slowness,'),
    }),
  ]);
  for (const PER_SOURCE_PENALTIES of ['none', 'default'])
    expect(penaltyDiagnoses(requireSettings({ PER_SOURCE_PENALTIES }), classes)).toEqual([]);
});
