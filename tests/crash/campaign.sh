#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The crash lab for as long as you like.
#   tests/crash/campaign.sh N [BUILD-DIR]
# Runs seed after seed, each drawing a workload of its own, until N distinct states are judged; then
# N/10 damaged stores and N/5000 real power cuts. Before that every broken store must be caught.
# Distinct means: within a seed; seeds share no contents but an empty store's.
# Ends at the first failure with the command that repeats it; failing states are kept below
# BUILD-DIR/crash-failures. OXBOW_SEED sets the first seed, PER_SEED (1000) how many states each
# gives, JOBS (2) the processes at work, WHAT (controls states damage cuts) what is done, SUBJECT the
# workload of the states (several by turns).
set -euo pipefail

[ $# -ge 1 ] || { sed -n '3,12s/^# \{0,1\}//p' "$0"; exit 2; }
wanted=$1
top=$(cd "$(dirname "$0")/../.." && pwd)
build=${2:-$top/build/release}
jobs=${JOBS:-2}
per_seed=${PER_SEED:-1000}
seed=${OXBOW_SEED:-$(date +%s)}
what=${WHAT:-controls states damage cuts}
keep=$build/crash-failures
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ -x "$build/bin/crash_lab" ] && [ -x "$build/bin/rot_lab" ] || { echo "campaign: no crash_lab in $build/bin: build it first" >&2; exit 2; }
mkdir -p "$keep"

# One command, its output in a file of its own. 255 makes xargs start no others.
run() {
    local out=$1
    shift
    "$@" >"$out" 2>&1 && return 0
    {
        cat "$out"
        printf 'campaign: FAILED; again with:\n '
        printf ' %q' "$@"
        printf '\ncampaign: failing states are in %s\n' "$keep"
    } >&2
    return 255
}
export -f run
[ -z "${SUBJECT:-}" ] || SUBJECT="--subject $SUBJECT"
export work build per_seed keep SUBJECT=${SUBJECT:-}

# Runs a command for each line of standard input, `jobs` at a time.
each() {
    xargs -P "$jobs" -I{} bash -c "$1" || { echo "campaign: stopped" >&2; exit 1; }
}

# The lines that start with a word are pairs of names and numbers: sums them over all seeds.
sums() {
    cat "$work"/states.* | awk -v word="$1" -v skip="$2" '
        $1 == word {
            name = ""
            for (i = 1 + skip; i <= NF; i++) {
                number = $i; sub(/[,;]$/, "", number)
                if (number ~ /^[0-9]+$/ && name != "") {
                    if (!(name in sum)) order[++names] = name
                    sum[name] += number; name = ""
                } else name = name == "" ? $i : name " " $i
            }
        }
        END { printf "%s", word; for (n = 1; n <= names; n++) printf " %s %d", order[n], sum[order[n]]; print "" }'
}

distinct() {
    { cat "$work"/states.* 2>/dev/null || true; } | awk '$1 == "states" { n += $4 } END { print n + 0 }'
}

report() {
    sums recorded 1
    sums strategy 1
    cat "$work"/states.* | awk '$1 == "states" { p += $2; d += $4; r += $10; o += $15; w += $NF }
        END { printf "states possible %d, distinct %d; of recoveries cut short %d; not written to afterwards %d; held to what was written %d\n", p, d, r, o, w }'
    sums recovered 1
    sums branch 1 | tee "$work/branch"
    sums marks 1 | tee "$work/marks"
    sums verdicts 1
    cat "$work"/states.* | awk '$1 == "said" { n = $2; $1 = $2 = $3 = ""; sum[$0] += n }
        END { for (line in sum) printf "said %9d x%s\n", sum[line], line }' | sort -k2,2nr
}

controls() {
    local mutant
    for mutant in $("$build/bin/crash_lab" --mutants); do
        run "$work/control.$mutant" "$build/bin/crash_lab" --seed "$seed" --control "$mutant" --jobs "$jobs"
        printf 'control %-20s %s\n' "$mutant" "$(tail -1 "$work/control.$mutant")"
    done
}

states() {
    local first=$seed started=$SECONDS have=0 count
    while have=$(distinct) && ((have < wanted)); do
        count=$(((wanted - have + per_seed - 1) / per_seed))
        seq "$seed" $((seed + count - 1)) | each \
            'run "$work/states.{}" "$build/bin/crash_lab" --draw $SUBJECT --seed {} --images "$per_seed" --jobs 1 --save "$keep"'
        seed=$((seed + count))
    done
    report
    echo "campaign: seeds $first to $((seed - 1)), $have distinct states in $((SECONDS - started)) s," \
        "$((have / (SECONDS - started + 1))) a second, nothing found"
    # Damage is no branch that a power cut may take.
    if ((wanted >= 100000)) && grep -oE '[a-z-]+ 0( |$)' "$work/branch" | grep -v '^damage'; then
        echo "campaign: no recovery went the ways above" >&2
        exit 1
    fi
    if ((wanted >= 10000)) && grep -oE '[a-z-]+ 0( |$)' "$work/marks"; then
        echo "campaign: no workload came by the above" >&2
        exit 1
    fi
}

# A table of counts, its first column a name: sums it over all runs. $1: how its head begins.
table() {
    cat "$work"/$1.* | awk -v first="$2" '$1 == first { head = $0; columns = NF }
        head != "" && NF > columns && $NF ~ /^[0-9]+$/ {
            name = $1; for (i = 2; i <= NF - columns; i++) name = name " " $i
            for (i = 1; i <= columns; i++) sum[name, i] += $(NF - columns + i)
            if (!(name in seen)) { seen[name] = 1; order[++n] = name }
        }
        END { print head; for (k = 1; k <= n; k++) { printf "%-14s", order[k]
            for (i = 1; i <= columns; i++) printf " %9d", sum[order[k], i]; print "" } }'
}

damage() {
    local started=$SECONDS part=500 count=$((wanted / 10)) first=$seed
    local runs=$(((count + part - 1) / part))
    seq "$seed" $((seed + runs - 1)) | each \
        's=kv; (({} % 2)) && s=queue; l=flip; (({} / 2 % 2)) && l=rot
        run "$work/$l.{}" "$build/bin/${l}_lab" '$part' {} $s'
    seed=$((seed + runs))
    echo "campaign: seeds $first to $((seed - 1)), $((runs * part)) damaged stores in $((SECONDS - started)) s, nothing found"
    table flip refused
    table rot whole
}

cuts() {
    local lives=$((wanted / 5000 + 1))
    for subject in kv queue; do
        run "$work/cut.$subject" "$build/bin/cut_lab" "$build/lib/powercut.so" "$lives" "$seed" "$subject"
        tail -1 "$work/cut.$subject"
    done
}

for part in $what; do
    $part
done
