#!/usr/bin/env bash
# Whether the proofs would notice: applies one patch of tests/chaos/mutants at a time to a scratch worktree of HEAD, each
# removing one safeguard, runs what should catch it, and requires that it goes red, and in the way the patch says.
#
#   scripts/chaos-mutants.sh                    all of them; the table is kept in tests/chaos/results/mutants.md
#   scripts/chaos-mutants.sh lattice no-fsync   some
#   scripts/chaos-mutants.sh --check            only whether every patch still applies
#
# A patch begins with which safeguard it removes, the arguments of cargo for what catches it, and regular expressions of
# which a line of the output must then match each: anything may go red for another reason. What catches it must pass
# without the patch, too.
set -euo pipefail
cd "$(dirname "$0")/.."

PATCHES=$PWD/tests/chaos/mutants
KEPT=$PWD/tests/chaos/results/mutants.md
WORK=$PWD/target/chaos-mutants
TREE=$WORK/tree
# Its own: programs of mutants must not lie where others look for sound ones.
export CARGO_TARGET_DIR=$WORK/build
# The longest that catching one may take. What takes longer has told nothing.
LIMIT=900
CARGO=${CARGO:-cargo}

say() { printf '%s\n' "$*" >&2; }

# The values of header $1 of patch $2, a line each.
header() { sed -n "s/^$1: //p" "$2"; }

# Whether output $2 shows all that patch $1 is seen as; tells what it does not show.
shows() {
  local seen
  while read -r seen; do
    grep -qE -- "$seen" "$2" || { echo "red, but not by $seen"; return 1; }
  done < <(header "Seen as" "$1")
}

prepare() {
  mkdir -p "$WORK/logs"
  git diff --quiet HEAD -- crates proto tests || say "What is not committed is not tried."
  git worktree prune
  if [ ! -e "$TREE/.git" ]; then git worktree add --quiet --force --detach "$TREE" HEAD; fi
  git -C "$TREE" checkout --quiet --force --detach "$(git rev-parse HEAD)"
}

clean() { git -C "$TREE" checkout --quiet --force .; }

# Runs what catches a mutant, with its output in log $1; the rest are the arguments of cargo.
run() {
  local log=$1
  shift
  (cd "$TREE" && timeout "$LIMIT" "$CARGO" "$@") >"$log" 2>&1
}

# Builds what arguments of cargo would run.
build() {
  local arguments=()
  for argument in "$@"; do
    if [ "$argument" = -- ]; then break; fi
    arguments+=("$argument")
  done
  run "$WORK/logs/build.log" "${arguments[@]}" --locked --no-run
}

# What became of the mutant of patch $1: one line, and status 0 if it was caught.
try() {
  local patch=$1 log words status=0
  log=$WORK/logs/$(basename "$patch" .patch).log
  read -ra words <<<"$(header "Caught by" "$patch")"
  if ! git -C "$TREE" apply "$patch" 2>"$log"; then
    echo "does not apply"
    return 1
  fi
  if ! build "${words[@]}"; then
    clean
    cp "$WORK/logs/build.log" "$log"
    echo "does not compile"
    return 1
  fi
  run "$log" "${words[@]}" || status=$?
  clean
  case $status in
    0) echo "NOT NOTICED" && return 1 ;;
    124) echo "did not end" && return 1 ;;
  esac
  shows "$patch" "$log" && echo "caught"
}

# Whether all that catches mutants is green without one; each once.
sound() {
  local patch words caught=0
  while read -r words; do
    read -ra words <<<"$words"
    say "without a mutant: ${words[*]}"
    build "${words[@]}" || { say "it does not compile: $WORK/logs/build.log"; caught=1; continue; }
    run "$WORK/logs/sound.log" "${words[@]}" || { say "it is red by itself: $WORK/logs/sound.log"; caught=1; cp "$WORK/logs/sound.log" "$WORK/logs/sound-red.log"; }
  done < <(for patch in "$@"; do header "Caught by" "$patch"; done | sort -u)
  return $caught
}

check() {
  local patch failed=0
  for patch in "$@"; do
    git apply --check "$patch" || { say "$(basename "$patch") does not apply"; failed=1; }
    [ -n "$(header "Seen as" "$patch")" ] || { say "$(basename "$patch") is seen as nothing"; failed=1; }
  done
  return $failed
}

patches() {
  if [ $# -eq 0 ]; then set -- $(cd "$PATCHES" && ls ./*.patch | sed 's|^\./||; s|\.patch$||'); fi
  printf "$PATCHES/%s.patch\n" "$@"
}

# What became of each mutant, as Markdown.
table() {
  printf '# Mutants\n\nEach safeguard removed in turn; of version %s, %s. Again: `make chaos-mutants`.\n\n' \
    "$(git rev-parse --short HEAD)" "$(date -u '+%Y-%m-%d %H:%M UTC')"
  echo "| mutant | safeguard removed | what catches it | verdict | time |"
  echo "|---|---|---|---|---|"
  printf '%s\n' "${rows[@]}"
}

only=no
if [ "${1:-}" = --check ]; then
  only=yes
  shift
fi
mapfile -t chosen < <(patches "$@")
if [ $only = yes ]; then
  check "${chosen[@]}"
  exit
fi
prepare
sound "${chosen[@]}" || exit 1
failed=0
rows=()
for patch in "${chosen[@]}"; do
  name=$(basename "$patch" .patch)
  say "mutant $name: without the rule that $(header Safeguard "$patch")"
  start=$SECONDS
  verdict=$(try "$patch") || failed=1
  say "  $verdict after $((SECONDS - start)) s"
  rows+=("| $name | $(header Safeguard "$patch") | \`$(header "Caught by" "$patch")\` | $verdict | $((SECONDS - start)) s |")
done
table
if [ $# -eq 0 ]; then table >"$KEPT"; fi
exit $failed
