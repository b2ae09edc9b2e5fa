/**
 * The penalties of `PER_SOURCE_PENALTIES=unauthenticated`, in seconds, for each class of PerSourcePenalties (sshd_config(5)) up to
 * OpenSSH 10.6. Every class has a value here: a new release of sshd must not change what the setting means.
 *
 * Behind a NAT or Docker's gateway all clients have one address. One of them with a wrong key, or with the key of an account that is
 * gone, must not lock out the others. If a client asks for an account that does not exist, the class is `invaliduser` since 10.3. Before,
 * it was `noauth`, as for clients that connect and close. So neither class is punished, in any release. Only two kinds of clients are:
 * those that connect and do not log in until LOGIN_GRACE_TIME is over, and those that make sshd crash.
 */
export const PENALTIES: Readonly<Record<string, number>> = {
  crash: 90,
  authfail: 0,
  noauth: 0,
  invaliduser: 0,
  'grace-exceeded': 10,
  refuseconnection: 10,
};

/** Words in the same line that are not classes. */
const PARAMETERS = new Set(['max', 'min', 'max-sources4', 'max-sources6', 'overflow', 'overflow6']);

/**
 * The classes that a given sshd knows.
 *
 * @param effective the value of PerSourcePenalties as sshd prints it: `crash:90 authfail:5.000000 … max:600 overflow:permissive`
 */
export const penaltyClasses = (effective: string): readonly string[] =>
  effective
    .split(' ')
    .map((word) => word.split(':'))
    .filter(([name = '', value = '']) => !PARAMETERS.has(name) && /^\d+(\.\d+)?$/.test(value))
    .map(([name = '']) => name);

/** The value of PerSourcePenalties. It sets each class that both we and this sshd know. */
export const penaltiesOf = (classes: readonly string[]): string =>
  Object.entries(PENALTIES)
    .filter(([name]) => classes.includes(name))
    .map(([name, seconds]) => `${name}:${seconds}`)
    .join(' ');

/** Classes of this sshd that we do not know. It uses its own penalties for them. */
export const unknownPenalties = (classes: readonly string[]): readonly string[] =>
  classes.filter((name) => !(name in PENALTIES));
