/** How many connections may be logging in at once. */
export type Startups = {
  readonly most: number;
  /** Of them from one address. */
  readonly perSource: number;
};

/**
 * What a connection costs before its login, in bytes: 545 that sent nothing but a banner took 900 MB (OpenSSH 10.0 and 10.6; two
 * processes each).
 */
const COST = 2e6;
/** Strangers get at most so much of the memory. */
const SHARE = 0.5;
const LEAST = 50;
/** More come only in a flood, and each is a process to wait for. */
const MOST = 2000;

/**
 * sshd's MaxStartups and PerSourceMaxStartups for a server with so many bytes of memory.
 *
 * Half of the places are for one address. Less would turn clients away where all have one address (a NAT, Docker's gateway) and
 * come in one instant; more would leave too few for the others while one address holds its own.
 */
export const startupsFor = (setting: number | 'auto', memory: number): Startups => {
  const most = setting === 'auto' ? Math.min(Math.max(Math.floor((memory * SHARE) / COST), LEAST), MOST) : setting;
  return { most, perSource: Math.max(1, Math.floor(most / 2)) };
};
