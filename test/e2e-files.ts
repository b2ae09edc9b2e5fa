/**
 * Which end-to-end files the gate runs where. All but NOT_IN_A_CONTAINER run against the shipped image, of Debian 13. With E2E_FILES=without-docker those
 * in WITHOUT_DOCKER run, and with E2E_FILES=newest-debian those of ON_BOTH_IMAGES that COLD has not. `npm cit` and `npm run e2e` run all that mean
 * something there.
 */

/**
 * What a client, an attacker and a session meet, with the sshd, the borg and the Python of each image. What the launcher, the session host, sshd and
 * borg do in detail is tested by the units in test/{image,sshd,borg,sessions,snapshots,keys}, which run on each Debian, too.
 */
export const ON_BOTH_IMAGES: readonly string[] = [
  ...['smoke', 'repository', 'isolation', 'append-only', 'ssh-attacks', 'revocation', 'penalties', 'limits'],
  ...['hosted-sessions', 'same-session', 'trail'],
];

/**
 * What the gate runs with sessions that start cold: the project `cold`. What a session may does not depend on how it starts, and the units of
 * test/image start most sessions cold. So what ON_BOTH_IMAGES has of it runs against one image hosted, and against the other one cold.
 */
export const COLD: readonly string[] = ['isolation', 'append-only', 'session-limits', 'sessions'];

/** Files that have no test in a container. */
export const NOT_IN_A_CONTAINER: readonly string[] = [
  'without-docker',
  'user-namespace',
  'faults-clock',
  'before-login',
];

/**
 * Files that run on the gate's own machine: those with tests that mean nothing in a container, since nothing else would run those, and two that show
 * that a server there serves as one in a container does.
 */
export const WITHOUT_DOCKER: readonly string[] = [
  ...NOT_IN_A_CONTAINER,
  ...['smoke', 'hosted-sessions'],
  ...['capabilities', 'disk-floor', 'faults-disk', 'restart', 'revocation', 'session-host-faults'],
];
