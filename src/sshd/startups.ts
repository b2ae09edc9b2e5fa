/** How many connections may be logging in at once. */
export type Startups = {
  readonly most: number;
  /** How many of them from one address. */
  readonly perSource: number;
};

/**
 * Memory of a connection before its login, in bytes: 545 connections that sent only a banner took 900 MB (OpenSSH 10.0 and 10.6;
 * two processes each).
 */
const COST = 2e6;
/** The part of the memory that connections before their login get at most. */
const SHARE = 0.5;
const LEAST = 50;
/** More connections come only in a flood, and sshd waits for a process of each. */
const MOST = 2000;

/**
 * sshd's MaxStartups and PerSourceMaxStartups for a server with so many bytes of memory.
 *
 * One address may have half of the places. With less, clients would be turned away if all have one address (a NAT, Docker's
 * gateway) and come at the same moment. With more, one address could leave too few places for the others.
 */
export const startupsFor = (setting: number | 'auto', memory: number): Startups => {
  const most = setting === 'auto' ? Math.min(Math.max(Math.floor((memory * SHARE) / COST), LEAST), MOST) : setting;
  return { most, perSource: Math.max(1, Math.floor(most / 2)) };
};
