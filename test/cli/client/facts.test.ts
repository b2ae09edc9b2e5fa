import { describe, expect, test } from 'vitest';
import { publicHost, publicPort } from '../../../src/cli/client/facts.ts';

describe('the address that is told', () => {
  test('is what was asked for, then what is set, and never a guess', () => {
    expect(publicHost('Other.example.org', 'backup.example.org')).toBe('other.example.org');
    expect(publicHost(undefined, 'backup.example.org')).toBe('backup.example.org');
    expect(() => publicHost(undefined, null)).toThrowError(/does not know by which name/);
    expect(() => publicHost('$(id)', 'backup.example.org')).toThrowError(/--host must be/);
  });

  test('has the port that was asked for, that is set, that compose publishes, or that sshd was told', () => {
    const compose = { SSH_HOST_PORT: '192.0.2.1:2222', SSH_PORT: '22' };
    expect(publicPort('22', 2022, compose)).toBe(22);
    expect(publicPort(undefined, 2022, compose)).toBe(2022);
    expect(publicPort(undefined, null, compose)).toBe(2222);
    expect(publicPort(undefined, null, { SSH_PORT: '2223' })).toBe(2223);
  });

  test('has no port where a container only knows its own, or compose publishes many', () => {
    expect(() => publicPort(undefined, null, {})).toThrowError(/on which port/);
    expect(() => publicPort(undefined, null, { SSH_HOST_PORT: '2222-2230', SSH_PORT: '22' })).toThrowError(
      /on which port/,
    );
    expect(() => publicPort('22x', 2022, {})).toThrowError(/--port must be/);
  });
});
