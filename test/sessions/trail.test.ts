import { expect, test } from 'vitest';
import type { Refusal } from '../../src/sessions/strangers.ts';
import { createStrangerLog } from '../../src/sessions/trail.ts';

const refusal = (more: Partial<Refusal> = {}): Refusal => ({
  ...{ address: '192.0.2.7', port: 4000, asked: 'web01', fingerprints: [], reason: 'failed' },
  ...more,
});

const start = () => {
  const lines: { readonly facts: Readonly<Record<string, unknown>>; readonly message: string }[] = [];
  const clock = { now: 0 };
  const write = (facts: object, message: string) => void lines.push({ facts: { ...facts }, message });
  const log = createStrangerLog({ info: write, warn: write, error: write }, () => clock.now);
  const sums = () => lines.filter(({ message }) => message === 'more logins refused, not shown one by one');
  return { log, lines, clock, sums };
};

test('a few refused logins are shown one by one', () => {
  const { log, lines } = start();
  log.refused(refusal({ fingerprints: ['SHA256:a', 'SHA256:b'] }));
  log.refused(refusal({ asked: null, port: null, reason: 'not-ssh' }));
  log.refused(refusal({ asked: null, port: null, reason: 'penalty' }));
  expect(lines).toEqual([
    {
      message: 'login refused',
      facts: {
        reason: 'no key was accepted',
        asked: 'web01',
        offered: 'SHA256:a SHA256:b',
        from: '192.0.2.7',
        port: 4000,
      },
    },
    { message: 'login refused', facts: { reason: 'it does not speak SSH', from: '192.0.2.7' } },
    // The reason names a setting as the cure, which nobody would guess.
    {
      message: 'login refused',
      facts: { reason: expect.stringContaining('PER_SOURCE_PENALTIES'), from: '192.0.2.7' },
    },
  ]);
});

test('a thousand refusals a second for ten minutes leave a line a second and a sum a minute, and none is lost', () => {
  const { log, lines, clock, sums } = start();
  const SECONDS = 600;
  for (; clock.now < SECONDS * 1000; clock.now += 1) {
    log.refused(refusal({ port: clock.now % 60_000, address: `10.0.${(clock.now >> 8) & 255}.${clock.now & 255}` }));
    if (clock.now % 1000 === 0) log.tick();
  }
  log.tick(true);
  expect(lines.length).toBeLessThan(SECONDS + 10 + SECONDS / 60 + 2);
  const shown = lines.length - sums().length;
  expect(sums().reduce((sum, { facts }) => sum + Number(facts.logins), 0) + shown).toBe(SECONDS * 1000);
  for (const { facts } of sums()) expect(String(facts.from).length).toBeLessThan(100);
});

test('the sum names the addresses with most refusals, and waits for its minute, or for the end of the server', () => {
  const { log, clock, sums } = start();
  for (let n = 0; n < 10; n += 1) log.refused(refusal());
  for (let n = 0; n < 5; n += 1) log.refused(refusal({ address: '::1' }));
  log.refused(refusal());
  clock.now = 59_999;
  log.tick();
  expect(sums()).toEqual([]);
  clock.now = 60_000;
  log.tick();
  log.tick(true);
  expect(sums().map(({ facts }) => facts)).toEqual([{ logins: 6, seconds: 60, from: '::1 (5), 192.0.2.7 (1)' }]);
});

test('strangers of ever new addresses are counted together', () => {
  const { log, sums } = start();
  for (let n = 0; n < 200; n += 1) log.refused(refusal({ address: `10.0.0.${n}` }));
  log.tick(true);
  expect(sums()[0]?.facts).toMatchObject({ logins: 190, from: expect.stringMatching(/^others \(90\), /) });
});
