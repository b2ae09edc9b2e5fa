import { describe, expect, it } from 'vitest';
import { readSettings, requireSettings, SETTING_NAMES } from '../src/settings.ts';

const problemsOf = (env: Record<string, string>): readonly string[] => {
  const read = readSettings(env);
  return read.ok ? [] : read.problems;
};

describe('the settings', () => {
  it('have a value for everything where nothing is set', () => {
    const settings = requireSettings({});
    expect(Object.keys(settings).sort()).toEqual([...SETTING_NAMES].sort());
    expect(settings).toMatchObject({
      PUID: 1000,
      PGID: 1000,
      STOP_ON: 'conflicts',
      UID_RANGE: { first: 10000, last: 59999 },
    });
  });

  it('take an empty variable for one that is not set', () => {
    const empty = Object.fromEntries(SETTING_NAMES.map((name) => [name, '']));
    expect(requireSettings(empty)).toEqual(requireSettings({}));
  });

  it('that are in quotes are told as that, each once', () => {
    const env = { PUID: '"1000"', PUBLIC_HOST: "'backup.example.org'", TZ: '"Europe/Berlin"', MIN_FREE: '""' };
    expect(problemsOf(env).map((problem) => problem.split(',')[0])).toEqual([
      'PUID: stands in quotes',
      'PUBLIC_HOST: stands in quotes',
      'MIN_FREE: stands in quotes',
      'TZ: stands in quotes',
    ]);
    expect(problemsOf({ REPO_SERVE_EXTRA_ARGS: '"--append-only"', BORG_SSHKEYS: '"x"' })).toEqual([]);
  });

  it('ignore what is not theirs', () =>
    expect(requireSettings({ PATH: '/bin', PUIDS: 'x' })).toEqual(requireSettings({})));

  it('tell every problem at once, each with its variable, also a problem between two variables', () => {
    const problems = problemsOf({
      STOP_ON: 'never',
      WATCH: 'sometimes',
      RESYNC_SECONDS: '0',
      SSH_PORT: '70000',
      PUID: '10000',
      CLIENT_ALIVE_INTERVAL: '-1',
      MAX_STARTUPS: '1e3',
    });
    for (const name of [
      'STOP_ON',
      'WATCH',
      'RESYNC_SECONDS',
      'SSH_PORT',
      'PUID',
      'CLIENT_ALIVE_INTERVAL',
      'MAX_STARTUPS',
    ])
      expect(problems.filter((problem) => problem.startsWith(`${name}: `))).toHaveLength(1);
    expect(problems).toHaveLength(7);
  });

  it.each([
    '0',
    '1',
    '499',
    '-1',
    '1000.5',
    '0x3e8',
    ' 1000',
    '1000 ',
    '4294967294',
    '4294967295',
    '1e9999',
    '٣٣٣٣',
    'borg',
  ])('refuse PUID=%j', (value) => expect(problemsOf({ PUID: value })).toHaveLength(1));

  it('say why a small id does not work', () =>
    expect(problemsOf({ PGID: '100' })[0]).toMatch(/^PGID: .*500.*extrausers/));

  it.each(['770', '771', '772', '773', '774'])('refuse the gid of a role as PGID: %s', (value) =>
    expect(problemsOf({ PGID: value })[0]).toMatch(/^PGID: .*borg-/),
  );

  it.each([
    '10000-9999',
    '499-600',
    '10000',
    '-',
    '1-2-3',
    'a-b',
    '10000-4294967294',
    ' 10000-10001',
    '10000-10001\n',
    `${''.padEnd(400, '9')}-${''.padEnd(400, '9')}`,
  ])('refuse UID_RANGE=%j', (value) => expect(problemsOf({ UID_RANGE: value })).toHaveLength(1));

  it('take the memory of a session as auto, or as borg writes sizes', () => {
    expect(requireSettings({}).SESSION_MEMORY).toBe('auto');
    expect(requireSettings({ SESSION_MEMORY: 'auto' }).SESSION_MEMORY).toBe('auto');
    expect(requireSettings({ SESSION_MEMORY: '1.5G' }).SESSION_MEMORY).toBe(1_500_000_000);
    expect(requireSettings({ SESSION_MEMORY: '128M' }).SESSION_MEMORY).toBe(128_000_000);
  });

  it.each(['127M', '0', '-1', '512 MB', '512MB', 'Auto', 'unlimited', '1e9', '512M\n'])(
    'refuse SESSION_MEMORY=%j, with which no session could work, or which is no size',
    (value) =>
      expect(problemsOf({ SESSION_MEMORY: value })).toEqual([
        'SESSION_MEMORY: must be auto, or a size of at least 128M, for example 512M or 2G',
      ]),
  );

  it('take what is kept free of the disk as auto, or as a size', () => {
    expect(requireSettings({}).MIN_FREE).toBe('auto');
    expect(requireSettings({ MIN_FREE: '1.5T' }).MIN_FREE).toBe(1_500_000_000_000);
    expect(problemsOf({ MIN_FREE: '2%' })).toEqual([
      'MIN_FREE: must be auto, or a size of at least 10M, for example 5G',
    ]);
  });

  it.each(['0', '-1', '1.5', 'auto'])('refuse SESSIONS_PER_ACCOUNT=%j', (value) =>
    expect(problemsOf({ SESSIONS_PER_ACCOUNT: value })).toHaveLength(1),
  );

  it('refuse an admin’s ids inside the tenants’ range, both at once', () => {
    const problems = problemsOf({ PUID: '10000', PGID: '59999' });
    expect(problems).toHaveLength(2);
    expect(problems[0]).toMatch(/^PUID: 10000 lies in UID_RANGE/);
    expect(problemsOf({ PUID: '9999', PGID: '60000' })).toEqual([]);
    expect(problemsOf({ PUID: '5000', UID_RANGE: '5000-5000' })).toHaveLength(1);
  });

  it('never repeat a value that could be hostile to a terminal', () => {
    for (const name of SETTING_NAMES) {
      for (const problem of problemsOf({ [name]: '\u001b[2J\n' })) expect(problem).not.toMatch(/\p{C}/u);
    }
  });
});

describe('the time zone', () => {
  it.each(['Europe/Berlin', 'UTC', 'CET', ''])('may be %j', (TZ) => expect(problemsOf({ TZ })).toEqual([]));
  it.each(['CET-1CEST', 'Foo/Bar', ':Europe/Berlin', '+01:00', '../etc/passwd', 'UTC\n'])(
    'is refused if sshd and the daemon would read it differently: %j',
    (TZ) => expect(problemsOf({ TZ })).toEqual(['TZ: must be the name of a time zone, such as Europe/Berlin or UTC']),
  );
});
