/** What `borgserver client --format` takes; the first is the default. */
export const CLIENT_FORMATS = ['shell', 'ssh-config', 'known-hosts', 'borgmatic', 'nixos', 'systemd', 'env'] as const;

export type ClientFormat = (typeof CLIENT_FORMATS)[number];
