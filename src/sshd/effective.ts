/**
 * Reads what `sshd -T` and `sshd -G` print (sshd(8)): the effective value of each option, by the option's name in lower case.
 * Up to 10.5 sshd prints names in lower case; since 10.6 it writes them as in its manual. If an option has several lines, the last counts.
 */
export const effectiveOptions = (printed: string): ReadonlyMap<string, string> =>
  new Map(
    printed.split('\n').flatMap((line) => {
      const end = line.indexOf(' ');
      return end < 1 ? [] : [[line.slice(0, end).toLowerCase(), line.slice(end + 1)] as const];
    }),
  );
