import { describe, expect, it } from 'vitest';
import { fromAllows } from '../../src/sessions/from-allows.ts';

describe('from=', () => {
  it.each([
    ['10.0.0.9', '10.0.0.9', true],
    ['10.0.0.9', '10.0.0.90', false],
    ['10.0.0.0/8', '10.255.0.1', true],
    ['10.0.0.0/8', '11.0.0.1', false],
    ['10.0.*', '10.0.7.1', true],
    ['10.0.0.?', '10.0.0.12', false],
    ['0.0.0.0/0', '::1', false],
    ['::/0', '10.0.0.9', false],
    ['2001:db8::/32', '2001:db8:7::1', true],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1', true],
    ['2001:DB8::*', '2001:db8::1', true],
    ['fe80::1', 'fe80::1%eth0', true],
    ['*', '10.0.0.9', true],
    ['*', '::1', true],
    ['host.example.org', '10.0.0.9', false],
    ['10.0.0.9.example.org', '10.0.0.9', false],
    ['1.2.3.4,10.0.0.0/8', '10.0.0.9', true],
    ['!10.0.0.9,10.0.0.0/8', '10.0.0.9', false],
    ['10.0.0.0/8,!10.0.0.9', '10.0.0.9', false],
    ['10.0.0.0/8,!10.0.0.9', '10.0.0.8', true],
    ['!10.0.0.9', '10.0.0.8', false],
    ['*,!10.0.0.0/8', '10.0.0.8', false],
    ['1+.*', '11.x', false],
  ])('%s and %s: %s', (list, address, allowed) => {
    expect(fromAllows(list, address)).toBe(allowed);
  });
});
