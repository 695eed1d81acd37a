#!/usr/bin/env bash
# Checks what is under deploy/ and docker-compose.yml as far as that goes without a container engine.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/tools.sh nats-current

# A virtual environment of its own, renewed when the list of tools changes.
tools=.tools/deploy
if ! cmp -s scripts/deploy-check.txt $tools/installed.txt; then
  rm -rf $tools
  python3 -m venv $tools
  $tools/bin/python -m pip install -q --disable-pip-version-check --only-binary :all: -r scripts/deploy-check.txt
  cp scripts/deploy-check.txt $tools/installed.txt
fi

echo "docker-compose.yml: the Compose specification's own schema"
$tools/bin/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml

echo "deploy/docker/Dockerfile: hadolint"
$tools/bin/hadolint deploy/docker/Dockerfile

echo "deploy/compose/secrets.sh and deploy/nats/nats.conf: made once, never changed, accepted by nats-server"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/secrets" "$work/data" "$work/nats"
# The group that reads secrets is one that only root can give files to.
if [ "$(id -u)" = 0 ]; then
  sh deploy/compose/secrets.sh "$work/secrets" "$work/data"
  cp -R "$work/secrets" "$work/before"
  sh deploy/compose/secrets.sh "$work/secrets" "$work/data"
  diff -r "$work/before" "$work/secrets"
  ln -s "$work/secrets/stream" "$work/nats/secrets"
else
  echo "  (not root: secrets.sh itself is not run)"
  mkdir "$work/nats/secrets"
  echo 'CASEWIRE_PASSWORD: "x"' >"$work/nats/secrets/nats-password.conf"
fi
cp deploy/nats/nats.conf "$work/nats/"
.tools/nats/bin/nats-server -t -c "$work/nats/nats.conf"

# Units as they are, but for the program, which need not be on this machine.
systemd_units() {
  if [ "$(uname -s)" != Linux ]; then
    echo "  (not Linux: the units are not checked)"
    return
  fi
  command -v systemd-analyze >/dev/null || {
    echo "systemd-analyze is missing: sudo apt-get install systemd" >&2
    return 1
  }
  mkdir "$work/units"
  local unit
  for unit in deploy/systemd/*; do
    sed "s#/usr/local/bin/casewire #$(command -v true) #" "$unit" >"$work/units/${unit##*/}"
  done
  # What it does not know it only mentions, and ignores.
  local said
  said=$(systemd-analyze verify --man=no "$work"/units/* 2>&1) && [ -z "$said" ] || {
    printf '%s\n' "$said" >&2
    return 1
  }
  for unit in "$work"/units/*.service; do
    # Of 100: what a service could do to the machine if it were taken over.
    systemd-analyze security --offline=true --threshold=20 --no-pager "$unit" | tail -1
  done
}

echo "deploy/systemd: systemd-analyze verify and security"
systemd_units
