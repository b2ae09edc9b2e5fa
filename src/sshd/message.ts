/** Who wrote a line of sshd's log, by the kernel's word. */
export type Writer = {
  readonly pid: number;
  readonly uid: number;
  /** Its parent's pid, and the clock ticks since boot at which it began; both 0 where it had ended before it was looked at. */
  readonly parent: number;
  readonly start: number;
};

/** One message of sshd's: whatever it holds, it is one, and has no control character. */
export type Message = Writer & { readonly text: string };

const FORM = /^(\d{1,10}) (\d{1,10}) (\d{1,10}) (\d{1,20}) (.*)$/s;

/** Reads a line that image/sshd-with-log wrote, without its end; null where it is none of its lines. */
export const parseMessage = (line: string): Message | null => {
  const [, pid, uid, parent, start, text] = FORM.exec(line) ?? [];
  if (text === undefined) return null;
  return { pid: Number(pid), uid: Number(uid), parent: Number(parent), start: Number(start), text };
};
