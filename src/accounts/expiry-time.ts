const TIME = /^(\d{4})(\d{2})(\d{2})(?:(\d{2})(\d{2})(\d{2})?)?(Z?)$/;

/**
 * Reads the value of expiry-time, YYYYMMDD[HHMM[SS]][Z] (sshd(8), AUTHORIZED_KEYS; the Z since OpenSSH 9.1). Null if it is no such time.
 * Without the Z it is in the time zone of this process, which is sshd's. sshd would turn February 30th into March; here it is refused.
 */
export const readExpiryTime = (text: string): Date | null => {
  const match = TIME.exec(text);
  if (!match) return null;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match
    .slice(1, 7)
    .map((part) => Number(part ?? 0));
  const inRange = year > 1970 && month >= 1 && month <= 12 && day >= 1 && hour <= 23 && minute <= 59 && second <= 59;
  if (!inRange || day > new Date(Date.UTC(year, month, 0)).getUTCDate()) return null;
  return match[7] === 'Z'
    ? new Date(Date.UTC(year, month - 1, day, hour, minute, second))
    : new Date(year, month - 1, day, hour, minute, second);
};
