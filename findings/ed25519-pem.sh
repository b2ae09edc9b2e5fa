#!/bin/bash
# ssh-keygen(1) offers `-m PKCS8` for keys in PEM ("BEGIN PUBLIC KEY"), for import with -i and for export with -e.
#
# Tried with: Debian 12, openssh-client 1:9.2p1-2+deb12u10 and openssl 3.0.22-1~deb12u2. ssh-keygen of OpenSSH 10.6 in Debian forky says the same of the import.
#
# One would guess: a key that OpenSSL has made comes in, whatever its type, since Ed25519 is the type that ssh-keygen makes by default
# in newer releases, and RFC 8410 says how it stands in PKCS #8.
#
# What happens: RSA and ECDSA are converted. Ed25519 is not, in either direction, and a private Ed25519 key of OpenSSL's cannot be loaded:
#
#   rsa in: ssh-rsa
#   ecdsa in: ecdsa-sha2-nistp256
#   ed25519 in: do_convert_from_pkcs8: unsupported pubkey type 1087
#   ed25519 out: do_convert_to_pkcs8: unsupported key type ED25519
#   ed25519 private: Load key "private.pem": invalid format
#
# Who is told "convert it with ssh-keygen -i -m PKCS8" needs another sentence for Ed25519: there is no command; make a new key.
set -euo pipefail
expected=$(sed -n 's/^#   //p' "$0")
folder=$(mktemp --directory)
trap 'rm --recursive --force "$folder"' EXIT
cd "$folder"

apt-get download openssh-client=1:9.2p1-2+deb12u10 openssl=3.0.22-1~deb12u2 >/dev/null 2>&1
for package in *.deb; do dpkg-deb --extract "$package" .; done
PATH=$folder/usr/bin:$PATH
ssh -V

openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.pem
openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:prime256v1 -out ecdsa.pem
openssl genpkey -quiet -algorithm ED25519 -out ed25519.pem
said() { "$@" 2>&1 | head -1 | tr -d "\r" | cut -d' ' -f"$fields" || true; }
{
  for type in rsa ecdsa ed25519; do
    openssl pkey -in "$type.pem" -pubout -out "$type.pub.pem"
    fields=1-; [ "$type" = ed25519 ] || fields=1
    echo "$type in: $(said ssh-keygen -i -m PKCS8 -f "$type.pub.pem")"
  done
  fields=1-
  ssh-keygen -q -t ed25519 -N '' -C '' -f own
  echo "ed25519 out: $(said ssh-keygen -e -m PKCS8 -f own.pub)"
  cp ed25519.pem private.pem
  chmod 600 private.pem
  echo "ed25519 private: $(said ssh-keygen -y -f private.pem)"
} | tee seen

diff <(echo "$expected") seen
