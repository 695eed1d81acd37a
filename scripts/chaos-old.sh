#!/usr/bin/env bash
# Builds the program of an earlier version, from which row 16 of the fault matrix upgrades under load:
#
#   scripts/chaos-old.sh [debug | release]
#
# It is built in a worktree of its own, in the profile of the program under test, once.
set -euo pipefail
cd "$(dirname "$0")/.."

# The last version with the first schema.
old=4d73011
profile=${1:-release}
case $profile in
  debug) flags=() ;;
  release) flags=(--release) ;;
  *)
    printf 'usage: scripts/chaos-old.sh [debug | release]\n' >&2
    exit 2
    ;;
esac

program=target/chaos-old/$profile/casewire
if [ -x "$program" ]; then exit 0; fi
if ! git cat-file -e "$old^{commit}" 2>/dev/null; then
  printf 'row 16 cannot be played: commit %s, from which it upgrades, is not in this clone\n' "$old" >&2
  exit 0
fi
source=target/chaos-old/source
git worktree prune
if [ ! -d "$source" ]; then git worktree add --quiet --detach "$source" "$old"; fi
cargo build --locked --manifest-path "$source/Cargo.toml" --target-dir target/chaos-old/build -p casewire "${flags[@]}"
mkdir -p "target/chaos-old/$profile"
cp "target/chaos-old/build/$profile/casewire" "$program"
