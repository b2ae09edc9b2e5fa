/**
 * Milliseconds of CPU that this thread spends on the work. A busy machine takes longer by the clock, but hardly more CPU. A slow machine takes
 * more CPU, too. So a test compares a cost with another one of the same run.
 */
export const costOf = (work: () => unknown): number => {
  const begun = process.threadCpuUsage();
  work();
  const { user, system } = process.threadCpuUsage(begun);
  return (user + system) / 1000;
};
