#!/usr/bin/env bash
# The programs that tests are judged by: Debian packages, installed when root, named otherwise.
set -euo pipefail
declare -A needs=(
  [/usr/bin/radclient]=freeradius-utils
  [/usr/sbin/freeradius]=freeradius
  [/usr/lib/freeradius/rlm_sql_postgresql.so]=freeradius-postgresql
  [/usr/sbin/ip]=iproute2
  [/usr/bin/gcc]="gcc libc6-dev"
)
missing=()
for file in "${!needs[@]}"; do
  [ -e "$file" ] || [ -e "${file/\/usr/}" ] || missing+=(${needs[$file]})
done
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
  # FreeRADIUS is run by the tests themselves: its service must not take the ports of RADIUS.
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod +x /usr/sbin/policy-rc.d
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
else
  echo "tests need these Debian packages: ${missing[*]} (apt-get install ${missing[*]})" >&2
  exit 1
fi
