#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The crash lab for as long as you like: N rounds, each with fresh seeds.
#   tests/crash/campaign.sh N [BUILD-DIR]
# A round is twelve runs: both subjects under both policies, their recoveries cut short, syncs that
# fail, real power cuts, and damaged files. Ends at the first failure with the command that repeats
# it; failing states are kept below BUILD-DIR/crash-failures. OXBOW_SEED sets the first seed,
# SECONDS_PER_RUN (20) and JOBS (2) how much is done.
set -euo pipefail

[ $# -ge 1 ] || { sed -n '3,8s/^# \{0,1\}//p' "$0"; exit 2; }
rounds=$1
top=$(cd "$(dirname "$0")/../.." && pwd)
build=${2:-$top/build/release}
seconds=${SECONDS_PER_RUN:-20}
jobs=${JOBS:-2}
seed=${OXBOW_SEED:-$(date +%s)}
keep=$build/crash-failures
[ -x "$build/bin/crash_lab" ] || { echo "campaign: no crash_lab in $build/bin: build it first" >&2; exit 2; }
mkdir -p "$keep"
runs=0
states=0

run() {
    local out
    seed=$((seed + 1))
    runs=$((runs + 1))
    if ! out=$("$@" 2>&1); then
        printf '%s\n' "$out"
        printf 'campaign: FAILED after %d runs; again with:\n ' "$runs"
        printf ' %q' "$@"
        printf '\ncampaign: failing states are in %s\n' "$keep"
        exit 1
    fi
    states=$((states + $(sed -n 's/^states.* \([0-9]*\) distinct.*/\1/p' <<<"$out" | head -1 | grep . || echo 0)))
    printf '%6d  %s\n' "$runs" "$(tail -1 <<<"$out")"
}

lab() {
    run "$build/bin/crash_lab" --seed "$seed" --jobs "$jobs" --seconds "$seconds" --save "$keep" "$@"
}

for ((round = 0; round < rounds; round++)); do
    for subject in kv queue; do
        lab --subject "$subject" --steps 30 --exhaustive 10 --random 40
        lab --subject "$subject" --steps 120 --policy interval --random 40
        lab --subject "$subject" --steps 12 --deeper 60
        lab --subject "$subject" --steps 60 --fail 8
        run "$build/bin/cut_lab" "$build/lib/powercut.so" 40 "$seed" "$subject"
        run "$build/bin/flip_lab" 2000 "$seed" "$subject"
    done
done
echo "campaign: $runs runs, $states distinct states, nothing found"
