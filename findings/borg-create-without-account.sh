#!/bin/bash
# `borg create` run by a user id that has no account: usual in a container that is started with a number for its user.
#
# Tried with: borgbackup 1.2.4-1, python3-msgpack 1.0.3-2+b1, python3-packaging 23.0-1 and python3.11 3.11.2-6+deb12u9 of Debian 12.
#
# One would guess: it works, since borg has no use for a name, or it is refused at the beginning. A dry run tells which.
#
# What happens: the dry run is content, and so is `borg init`. A backup reads all files and sends all data. At the very end, when it writes the
# archive's own data, it wants a user name, and fails (exit code 2). The data are in the repository, and no archive is. With LOGNAME in the
# environment it works: Python asks there first.
#
#   init: 0
#   create --dry-run: 0
#   create: 2, KeyError: 'getpwuid(): uid not found: 61000'
#   archives: none; data in the repository: more than 3 MB
#   create with LOGNAME: 0
#   archives: two
#
# Whoever runs borg with a bare number for a user should set LOGNAME. Data without an archive go with the next compact, so every night sends all anew.
set -euo pipefail
expected=$(sed -n 's/^#   //p' "$0")
folder=$(mktemp --directory)
trap 'rm --recursive --force "$folder"' EXIT
cd "$folder"
chmod 755 .

apt-get download python3.11-minimal=3.11.2-6+deb12u9 libpython3.11-minimal=3.11.2-6+deb12u9 libpython3.11-stdlib=3.11.2-6+deb12u9 \
  borgbackup=1.2.4-1 python3-msgpack=1.0.3-2+b1 python3-packaging=23.0-1 libxxhash0=0.8.1-1 liblz4-1=1.9.4-1 libacl1=2.3.1-3 >/dev/null 2>&1
mkdir debian home files
for package in *.deb; do dpkg-deb --extract "$package" debian; done
libraries=$(find "$PWD/debian" -name '*-linux-gnu' -path '*/lib/*' | paste -sd :)
head -c 3000000 /dev/urandom >files/one
chown 61000:61000 home
borg() {
  setpriv --reuid 61000 --regid 61000 --clear-groups env -i "HOME=$folder/home" "PYTHONHOME=$folder/debian/usr" \
    "PYTHONPATH=$folder/debian/usr/lib/python3/dist-packages" "LD_LIBRARY_PATH=$libraries" \
    BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes ${LOGNAME:+"LOGNAME=$LOGNAME"} debian/usr/bin/python3.11 debian/usr/bin/borg "$@" 2>said
}
archives() { borg list --short home/repository | paste -sd , | sed 's/^$/none/'; }
unset LOGNAME
{
  borg init --encryption none home/repository
  echo "init: $?"
  borg create --dry-run home/repository::one files
  echo "create --dry-run: $?"
  code=0
  borg create home/repository::one files || code=$?
  echo "create: $code, $(grep --max-count 1 '^KeyError' said)"
  [ "$(du --summarize --bytes home/repository/data | cut --fields 1)" -gt 3000000 ] && size='more than 3 MB'
  echo "archives: $(archives); data in the repository: ${size-less}"
  LOGNAME=backup borg create home/repository::two files
  echo "create with LOGNAME: $?"
  echo "archives: $(archives)"
} | tee seen

diff <(echo "$expected") seen
