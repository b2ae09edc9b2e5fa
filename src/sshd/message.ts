/** Who wrote a line of sshd's log, as the kernel says. */
export type Writer = {
  readonly pid: number;
  readonly uid: number;
  /** Its parent's pid, and its own start in clock ticks since boot; both 0 if it had ended before anybody looked. */
  readonly parent: number;
  readonly start: number;
};

/** One message of sshd. Whatever a client puts into it, it stays one message, and has no control characters. */
export type Message = Writer & { readonly text: string };

const FORM = /^(\d{1,10}) (\d{1,10}) (\d{1,10}) (\d{1,20}) (.*)$/s;

/** Reads a line that image/sshd-with-log wrote, without its line feed; null for any other line. */
export const parseMessage = (line: string): Message | null => {
  const [, pid, uid, parent, start, text] = FORM.exec(line) ?? [];
  if (text === undefined) return null;
  return { pid: Number(pid), uid: Number(uid), parent: Number(parent), start: Number(start), text };
};
