/**
 * What `sshd -T` and `sshd -G` print (sshd(8)): the value that each option has in the end, by the option's name in lower case.
 * Until 10.5 sshd wrote all names so, since 10.6 as its manual does. Of an option with several lines the last counts.
 */
export const effectiveOptions = (printed: string): ReadonlyMap<string, string> =>
  new Map(
    printed.split('\n').flatMap((line) => {
      const end = line.indexOf(' ');
      return end < 1 ? [] : [[line.slice(0, end).toLowerCase(), line.slice(end + 1)] as const];
    }),
  );
