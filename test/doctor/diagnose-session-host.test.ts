import { expect, test } from 'vitest';
import { diagnoseSessionHost, sessionHostText } from '../../src/doctor/diagnose-session-host.ts';

const RUNS = { running: true, coldSince: null, ends: 0 };

test('a session host that runs is a good line, even if it has ended a few times', () => {
  for (const ends of [0, 1, 3]) {
    expect(diagnoseSessionHost({ ...RUNS, ends })).toMatchObject({ level: 'ok', topic: 'session host', cure: null });
    expect(sessionHostText({ ...RUNS, ends })).toBeNull();
  }
});

test('a session host that does not run is told: since when, what follows, and where to look', () => {
  const found = diagnoseSessionHost({ running: false, coldSince: Date.parse('2026-11-29T01:02:03Z'), ends: 2 });
  expect(found).toMatchObject({
    level: 'warning',
    message: expect.stringMatching(/^it does not run since 2026-11-29T01:02:03\.000Z: .*slower; nothing else is lost$/),
    cure: expect.stringContaining('docker compose logs borgserver'),
  });
  expect(sessionHostText({ running: false, coldSince: null, ends: 0 })).toMatch(/^the session host: it does not run: /);
});

test('a session host that ends again and again is told', () => {
  const found = diagnoseSessionHost({ ...RUNS, ends: 4 });
  expect(found).toMatchObject({ level: 'warning', message: expect.stringContaining('4 times in the last hour') });
  expect(sessionHostText({ ...RUNS, ends: 4 })).toContain('4 times');
});

test('where the settings or the machine allow no session host, this is told, and nothing is wrong', () => {
  expect(diagnoseSessionHost('off')).toMatchObject({
    level: 'ok',
    message: expect.stringContaining('SESSION_HOST=no'),
  });
  expect(diagnoseSessionHost('impossible')).toMatchObject({ level: 'ok', message: expect.stringContaining('slower') });
});
