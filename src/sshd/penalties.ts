/**
 * Whom `PER_SOURCE_PENALTIES=unauthenticated` has sshd punish, in seconds, for each class of PerSourcePenalties
 * (sshd_config(5)) up to OpenSSH 10.6. All are written out: a release must not change what the setting means.
 *
 * Behind a NAT or Docker's gateway all clients are one address, and one of them with a wrong key, or with the key of an account
 * that is gone, must not lock out the others. Asking for an account that is not there is `invaliduser` since 10.3; before, sshd
 * counts it as `noauth`, with those who connect and close: so neither is punished, by any release. What is left is who connects
 * and is silent until LOGIN_GRACE_TIME is over, and who makes sshd crash.
 */
export const PENALTIES: Readonly<Record<string, number>> = {
  crash: 90,
  authfail: 0,
  noauth: 0,
  invaliduser: 0,
  'grace-exceeded': 10,
  refuseconnection: 10,
};

/** What stands in the same line and is no class. */
const PARAMETERS = new Set(['max', 'min', 'max-sources4', 'max-sources6', 'overflow', 'overflow6']);

/**
 * The classes that an sshd knows.
 *
 * @param effective the value of PerSourcePenalties as sshd prints it: `crash:90 authfail:5.000000 … max:600 overflow:permissive`
 */
export const penaltyClasses = (effective: string): readonly string[] =>
  effective
    .split(' ')
    .map((word) => word.split(':'))
    .filter(([name = '', value = '']) => !PARAMETERS.has(name) && /^\d+(\.\d+)?$/.test(value))
    .map(([name = '']) => name);

/** The value of PerSourcePenalties that sets each class that both we and this sshd know. */
export const penaltiesOf = (classes: readonly string[]): string =>
  Object.entries(PENALTIES)
    .filter(([name]) => classes.includes(name))
    .map(([name, seconds]) => `${name}:${seconds}`)
    .join(' ');

/** Classes of this sshd that we do not know, and that it punishes as it likes. */
export const unknownPenalties = (classes: readonly string[]): readonly string[] =>
  classes.filter((name) => !(name in PENALTIES));
