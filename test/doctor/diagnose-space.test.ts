import { expect, test } from 'vitest';
import { lineOf } from '../../src/doctor/diagnose-space.ts';

const BELOW = { path: '/repos', total: 70e6, floor: 25e6, need: 25e6, state: 'below' } as const;

test('where nothing at all is free the cure is not what only works with some space left', () => {
  expect(lineOf({ ...BELOW, free: 20e6 }).cure).toMatch(/^delete and compact/);
  expect(lineOf({ ...BELOW, free: 4096 }).cure).toMatch(/^it is full.*remove something else/);
});
