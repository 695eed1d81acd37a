#!/bin/sh
# Makes the secrets of docker-compose.yml where they are absent, and never changes one that is there.
#
#   secrets.sh FOLDER DATA
#
# FOLDER holds a folder for each group of services, so that each service is given only what it needs. DATA is the
# folder in which NATS, which does not run as root, keeps its files.
set -eu
umask 027
root=$1
data=$2
# The group of every service that reads secrets.
readers=65532

# Writes $2 and a line's end to file $1, as a whole or not at all; what is shorter than $3 was not made well.
keep() {
  if [ "${#2}" -lt "$3" ]; then
    echo "cannot make $1: no random bytes" >&2
    exit 1
  fi
  rm -f "$1.new"
  printf '%s\n' "$2" >"$1.new"
  chgrp "$readers" "$1.new"
  chmod 440 "$1.new"
  mv -f "$1.new" "$1"
}

hex() { od -An -v -tx1 -N "$1" /dev/urandom | tr -d ' \n'; }

# With an account's token and no word of where Twilio is, replies to customers would go to the simulator and look sent.
if [ -n "${TWILIO_AUTH_TOKEN:-}" ] && [ -z "${TWILIO_API_BASE_URL:-}" ]; then
  echo "CASEWIRE_TWILIO__AUTH_TOKEN is given, and CASEWIRE_TWILIO__API_BASE_URL is not: set it to https://api.twilio.com," >&2
  echo "and CASEWIRE_SIMULATORS=0, as deploy/compose/.env.example shows; or to http://simulator:8080 to go on trying" >&2
  exit 1
fi

for group in stream database keys twilio; do
  mkdir -p "$root/$group"
  chgrp "$readers" "$root/$group"
  chmod 750 "$root/$group"
done
chown "$readers:$readers" "$data"

if [ ! -s "$root/keys/master-key" ]; then
  keep "$root/keys/master-key" "$(head -c 32 /dev/urandom | base64)" 44
fi

if [ ! -s "$root/stream/password" ]; then keep "$root/stream/password" "$(hex 24)" 48; fi
password=$(cat "$root/stream/password")
keep "$root/stream/nats-password.conf" "CASEWIRE_PASSWORD: \"$password\"" 48

if [ ! -s "$root/database/password" ]; then keep "$root/database/password" "$(hex 24)" 48; fi
password=$(cat "$root/database/password")
keep "$root/database/url" "postgres://casewire:$password@postgres:5432/casewire" 48

# Yours when it is given; else one for the simulated account.
if [ -n "${TWILIO_AUTH_TOKEN:-}" ]; then
  keep "$root/twilio/auth-token" "$TWILIO_AUTH_TOKEN" 1
elif [ ! -s "$root/twilio/auth-token" ]; then
  keep "$root/twilio/auth-token" "$(hex 16)" 32
fi
