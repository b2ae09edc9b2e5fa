/** From perl-base, which every Debian has (Essential: yes). */
export const PERL = '/usr/bin/perl';
