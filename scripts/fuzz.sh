#!/usr/bin/env bash
# Searches for inputs that break parsers, with cargo-fuzz (libFuzzer, address sanitizer) and a nightly compiler.
#
#   scripts/fuzz.sh                     every target for 10 minutes, one after the other
#   scripts/fuzz.sh form 60             one target, so many seconds
#   scripts/fuzz.sh keep [form]         takes what runs here found worth keeping into fuzz/corpus, minimised
#
# What is found on the way lies in fuzz/target/found, which is not kept; what breaks something in fuzz/artifacts. Each
# such input becomes a regression test of the crate it breaks, and a file of the corpus.
set -euo pipefail
cd "$(dirname "$0")/.."

VERSION=0.13.2
# The longest input tried, the longest time one may take and the most memory: what a webhook's body could cost us.
LIMITS=(-max_len=4096 -timeout=10 -rss_limit_mb=1024)

say() { printf '%s\n' "$*" >&2; }

tools() {
  if ! cargo +nightly --version >/dev/null 2>&1; then
    command -v rustup >/dev/null || { say "Missing: a nightly compiler; with rustup (https://rustup.rs) this would install one"; exit 1; }
    rustup toolchain install nightly --profile minimal >&2 || { say "Missing: a nightly compiler, and rustup could not fetch it"; exit 1; }
  fi
  command -v cargo-fuzz >/dev/null || cargo install cargo-fuzz --locked --version "$VERSION" >&2
}

targets() { cargo +nightly fuzz list; }

# Arguments of libFuzzer for target $1.
options() {
  printf '%s\n' "${LIMITS[@]}"
  if [ -e "fuzz/$1.dict" ]; then printf '%s\n' "-dict=fuzz/$1.dict"; fi
}

run() {
  local target=$1 seconds=$2 options
  mapfile -t options < <(options "$target")
  mkdir -p "fuzz/target/found/$target"
  say "== $target, $seconds s"
  cargo +nightly fuzz run "$target" "fuzz/target/found/$target" "fuzz/corpus/$target" -- \
    "${options[@]}" "-max_total_time=$seconds" -print_final_stats=1
}

# One input for each piece of code reached, the smallest there is.
keep() {
  local target=$1 kept
  kept=$(mktemp -d "fuzz/target/kept.XXXXXX")
  cargo +nightly fuzz run "$target" "$kept" "fuzz/corpus/$target" "fuzz/target/found/$target" -- "${LIMITS[@]}" -merge=1
  rm -rf "fuzz/corpus/$target"
  mv "$kept" "fuzz/corpus/$target"
  chmod 755 "fuzz/corpus/$target"
  say "$target: $(find "fuzz/corpus/$target" -type f | wc -l) inputs kept"
}

tools
case "${1:-}" in
  keep) for target in ${2:-$(targets)}; do keep "$target"; done ;;
  *) for target in ${1:-$(targets)}; do run "$target" "${2:-600}"; done ;;
esac
