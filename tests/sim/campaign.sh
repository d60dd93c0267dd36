#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Simulated years for as long as you like.
#   tests/sim/campaign.sh N [BUILD-DIR]
# Runs the controls, then N years in parts of 50 seeds. Ends at the first failure with the command that
# repeats it; the stores of years that went wrong are kept below BUILD-DIR/sim-failures. OXBOW_SEED sets
# the first seed, JOBS (2) the processes at work, WHAT (controls years) what is done.
set -euo pipefail

[ $# -ge 1 ] || { sed -n '3,8s/^# \{0,1\}//p' "$0"; exit 2; }
wanted=$1
top=$(cd "$(dirname "$0")/../.." && pwd)
build=${2:-$top/build/release}
jobs=${JOBS:-2}
seed=${OXBOW_SEED:-$(date +%s)}
what=${WHAT:-controls years}
part=50
sim=$build/bin/year_sim
shim=$build/lib/powercut.so
keep=$build/sim-failures
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ -x "$sim" ] && [ -r "$shim" ] || { echo "campaign: no year_sim or powercut.so in $build: build them first" >&2; exit 2; }
mkdir -p "$keep"

# One part, its output in a file of its own. 255 makes xargs start no others.
run() {
    local first=$1
    shift
    OXBOW_SEED=$first "$@" >"$OUT/$first-$(basename "${@: -1}")" 2>&1 && return 0
    {
        cat "$OUT/$first-$(basename "${@: -1}")"
        printf 'campaign: FAILED; again with:\n  OXBOW_SEED=%s' "$first"
        printf ' %q' "$@"
        printf '\n'
    } >&2
    return 255
}
export -f run
export OUT=$work

start=$(date +%s)
if [[ $what == *controls* ]]; then
    for control in forget rollback nosync clock stolen forged eager buried unkeyed shared hurried mortal again hasty; do
        run "$seed" "$sim" "$shim" --seeds 3 --days 120 --control "$control"
        echo "campaign: control $control is found"
    done
fi
if [[ $what == *years* ]]; then
    for ((i = 0; i < wanted; i += part)); do
        echo "$((seed + i)) $((wanted - i < part ? wanted - i : part))"
    done | xargs -P "$jobs" -L 1 bash -c 'run "$0" "'"$sim"'" "'"$shim"'" --keep "'"$keep"'" --seeds "$1"'
    cat "$work"/[0-9]*-[0-9]* | grep -E '^ +[0-9]+ years|^  dropped' |
        awk '/years/ {for (i = 1; i <= NF; i++) if ($i + 0 > 0 || $i == "0") s[i] += $i; line = $0; n = NF}
             /dropped/ {for (i = 1; i <= NF; i++) if ($i + 0 > 0 || $i == "0") d[i] += $i; drop = $0; m = NF}
             END {print "campaign:"; k = split(line, w, " "); for (i = 1; i <= k; i++) printf "%s ", i in s ? s[i] : w[i];
                  print ""; k = split(drop, w, " "); for (i = 1; i <= k; i++) printf "%s ", i in d ? d[i] : w[i]; print ""}'
    echo "campaign: $wanted years from seed $seed, $(($(date +%s) - start)) s, nothing unaccounted"
fi
