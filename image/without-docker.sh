# start-without-docker and exec-without-docker read this file: it finds the server of DATA_DIR, and tells a person what is wrong.
# shellcheck shell=bash

# It starts as few programs as possible, since it runs before each command.
project=$(readlink -f "${BASH_SOURCE[0]}")
project=${project%/*/*}

die() {
  echo "${0##*/}: $*" >&2
  exit 1
}

[[ $OSTYPE = linux* ]] || die "this needs Linux (namespaces and its account database); use Docker elsewhere"
[ "$EUID" = 0 ] || die "this must run as root: it makes accounts and namespaces (try: sudo npm start)"

# A relative path starts where npm was called, not in the project: that is what the person who typed it meant.
data=${DATA_DIR:-$project/data}
case $data in /*) ;; *) data=${INIT_CWD:-$PWD}/$data ;; esac
data=$(realpath -m -- "$data")

# The state file says which process is PID 1 of the server. It is below /run, in a folder that only root can write to. In DATA_DIR
# somebody else might be able to write it, and so choose the process whose namespaces root enters.
states=/run/borgserver-without-docker
hash=$(printf %s "$data" | sha256sum)
state=$states/${hash:0:16}

# Prints when process $1 was started, in clock ticks since boot (proc(5), field 22). A PID and this number together always name the same
# process. Fails if the process is gone, or is a zombie.
start_time() {
  local line
  read -r line <"/proc/$1/stat" || return 1
  line=${line##*) } # the command's name, which may hold spaces and brackets, ends at the last bracket
  set -- $line
  [ "$1" != Z ] || return 1
  echo "${20}"
} 2>/dev/null
