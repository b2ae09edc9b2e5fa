/**
 * Milliseconds that a test waits for one condition. This is no measure of speed: it only bounds how late a test fails. It is enough for a machine
 * that is ten times slower, and busy. What a test is about, such as how soon the server gives up, is never measured by it.
 */
export const PATIENCE_MS = 300_000;

/** The same in seconds, as a word of a command. */
export const PATIENCE_SECONDS = String(PATIENCE_MS / 1000);

/** For a whole test. It is longer than one wait, which says what it saw: the end of this time says nothing. */
export const TEST_PATIENCE_MS = 3 * PATIENCE_MS;
