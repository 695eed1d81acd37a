#!/usr/bin/env bash
# Counts the instructions that reading and checking one webhook takes, and compares them with bench/instructions.json.
# Unlike a time, a count is nearly the same on a busy machine, so that CI can hold it.
#
#   scripts/instructions.sh          fails when one grew by more than the tolerance
#   scripts/instructions.sh update   writes the counts of today, to be committed with what changed them
#
# A count is that of 2,000 calls less that of 1,000, so that start and end fall out. Valgrind shows programs a processor
# of its own, without instructions for hashing: counts are the same on any x86-64, and more than a real one executes.
set -euo pipefail
cd "$(dirname "$0")/.."

known=bench/instructions.json
# In percent. Another minor version of the compiler may need more: then update, and say so in the commit.
tolerance=3

"${CARGO:-cargo}" build --locked --quiet --release -p casewire-twilio --example instructions
program=${CARGO_TARGET_DIR:-target}/release/examples/instructions

collected() {
  valgrind --tool=callgrind --callgrind-out-file=/dev/null "$program" "$1" "$2" 2>&1 |
    awk '$2 == "Collected" { print $4 }'
}

# A program that fails says so by its status: where its count is used, that would be lost.
per_call() {
  local few many
  few=$(collected "$1" 1000) || return 1
  many=$(collected "$1" 2000) || return 1
  echo $(((many - few) / 1000))
}

form=$(per_call form)
signature=$(per_call signature)

if [ "${1:-}" = update ]; then
  printf '{\n  "form": %d,\n  "signature": %d\n}\n' "$form" "$signature" >$known
  cat $known
  exit
fi

status=0
check() {
  local before
  before=$(awk -F '[:,]' -v name="\"$1\"" '$1 ~ name { print $2 + 0 }' $known)
  awk -v name="$1" -v now="$2" -v before="$before" -v tolerance=$tolerance 'BEGIN {
    change = (now / before - 1) * 100
    printf "%-10s %6d instructions, %6d before: %+.1f %%\n", name, now, before, change
    # As much less is no work done.
    exit change > tolerance || change < -50
  }' || status=1
}
check form "$form"
check signature "$signature"
if [ $status != 0 ]; then
  echo "more than $tolerance % beyond $known: make it cheaper, or run \`make instructions UPDATE=1\` and say why" >&2
fi
exit $status
