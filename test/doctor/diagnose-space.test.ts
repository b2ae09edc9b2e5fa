import { expect, test } from 'vitest';
import { lineOf } from '../../src/doctor/diagnose-space.ts';

const BELOW = { path: '/repos', total: 70e6, floor: 25e6, need: 25e6, state: 'below' } as const;

test('on a disk with nothing free the cure is not one that needs some space', () => {
  expect(lineOf({ ...BELOW, free: 20e6 }).cure).toMatch(/^delete and compact/);
  expect(lineOf({ ...BELOW, free: 4096 }).cure).toMatch(/^it is full.*remove something else/);
});
