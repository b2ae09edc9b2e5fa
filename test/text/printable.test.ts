import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { printable } from '../../src/text/printable.ts';

const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 300 }),
  fc.string({ unit: 'grapheme', maxLength: 300 }),
);

describe('printable text', () => {
  it('holds nothing that a log or a terminal would act on', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(printable(text)).toMatch(/^[\p{L}\p{M}\p{N}\p{P}\p{S} ]*$/u);
      }),
    );
  });

  it.each(['\u001b]0;x\u0007', '\r', '\n', '\u2028', '\u2029', '\u202e', '\u200b', '\ud800', '\u0085', '\u00a0', '\0'])(
    'shows %j as an escape',
    (char) => expect(printable(`a${char}b`)).toMatch(/^a(\\u\{[0-9a-f]+\}|[\]0;x])+b$/),
  );

  it('tells an escape from a backslash that was there', () => {
    expect(printable('\\u{1b}')).toBe('\\\\u{1b}');
    expect(printable('\u001b')).toBe('\\u{1b}');
  });

  it('is cut with an ellipsis', () => {
    expect(printable('x'.repeat(200))).toBe('x'.repeat(200));
    expect(printable('x'.repeat(201))).toBe(`${'x'.repeat(200)}…`);
  });
});
