import { describe, expect, it } from 'vitest';
import { fittingRows, sessionsJson, sessionsText } from '../../src/cli/sessions.ts';
import type { SessionView } from '../../src/sessions/session.ts';

const view = (given: Partial<SessionView> = {}): SessionView => ({
  ...{ peer: '10.0.0.9|4000', address: '10.0.0.9', port: 4000, account: 'web01', role: 'repo', uid: 10_000 },
  ...{ fingerprint: 'SHA256:9X36vZoIoMV/lPoQq4hgcbMrmcfr+pQQCjnOV091j1U', comment: 'root@web01' },
  ...{ file: '/sshkeys/repos/web01', line: 2, since: 0, received: 1_200_000, sent: null, borg: [77] },
  ...{ cpuSeconds: 0.154, peakMemory: 31_457_280 },
  ...given,
});

describe('the table of sessions', () => {
  it('tells who, since when, how many bytes, what runs and by which key', () => {
    expect(sessionsText([view()], 300_000).split('\n')).toEqual([
      'ACCOUNT  ROLE  FROM           SINCE  IN      OUT  CPU     MEMORY   RUNS     KEY',
      'web01    repo  10.0.0.9:4000  5 min  1.2 MB  ?    0.15 s  31.5 MB  borg 77  SHA256:9X36vZoI… root@web01',
    ]);
  });

  it('shows what is not known as unknown, never as nothing', () => {
    const nothing = { role: null, received: null, borg: [], cpuSeconds: null, peakMemory: null };
    const [, line] = sessionsText([view(nothing)], 0).split('\n');
    expect(line).toMatch(/web01 +\? .* \? +\? +- +- +idle/);
  });

  it('tells hundredths of a second where there are few', () => {
    expect(sessionsText([view({ cpuSeconds: 83.44 })], 0)).toContain(' 83 s ');
    expect(sessionsText([view({ cpuSeconds: 0 })], 0)).toContain(' 0.00 s ');
  });

  it('has the longest session first', () => {
    const text = sessionsText([view({ since: 5000, account: 'later' }), view({ since: 1000 })], 9000);
    expect(text.indexOf('web01')).toBeLessThan(text.indexOf('later'));
  });

  it('fits the terminal', () => {
    const text = sessionsText([view({ comment: 'c'.repeat(200) })], 0, 80);
    expect(text.split('\n').every((line) => [...line].length <= 80)).toBe(true);
  });

  it('says so if nobody is connected', () => {
    expect(sessionsText([], 0)).toBe('Nobody is connected.');
  });
});

it('the JSON has times that every program can read, and nothing internal to the server', () => {
  expect(JSON.parse(sessionsJson([view({ since: Date.parse('2026-11-20T21:44:48.250Z') })]))).toEqual([
    {
      ...{ account: 'web01', role: 'repo', uid: 10_000, address: '10.0.0.9', port: 4000 },
      since: '2026-11-20T21:44:48.250Z',
      ...{ fingerprint: view().fingerprint, comment: 'root@web01', file: '/sshkeys/repos/web01', line: 2 },
      ...{ received: 1_200_000, sent: null, borg: [77], cpuSeconds: 0.154, peakMemory: 31_457_280 },
    },
  ]);
});

it('the table is cut where the screen ends, and says so', () => {
  expect(fittingRows('HEAD\na\nb', 4)).toBe('HEAD\na\nb');
  expect(fittingRows('HEAD\na\nb\nc', 4)).toBe('HEAD\na\n… and 2 more');
});
