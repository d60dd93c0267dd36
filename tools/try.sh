#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Shows what oxbow promises, on this machine: installs what is needed (Debian 12), builds, then runs
# the main job: a sensor writes readings through power cuts and kills, over a broken network, to a
# real Redis over TLS. The last lines say what was proved; the exit status says whether it was.
set -euo pipefail
cd "$(dirname "$0")/.."

usage()
{
    cat <<'END'
Usage: tools/try.sh [--readings N] [--seed N] [--keep]

  --readings N   readings to write and deliver (default 100,000)
  --seed N       of all chances: repeats a run (default: a new one)
  --keep         leave the Redis server running afterwards, to look at the data
  --help         this text

Takes one to two minutes. Needs root or sudo only to install Debian packages that are missing.
Everything it makes is in build/.
END
}

fail()
{
    echo "try.sh: $*" >&2
    exit 2
}

number()
{
    [[ ${2-} =~ ^[0-9]{1,9}$ ]] || fail "$1 needs a number"
}

job=()
readings=100000
while [ $# -gt 0 ]; do
    case $1 in
    --readings) number "$@"; readings=$2; shift 2 ;;
    --seed) number "$@"; job+=(--seed "$2"); shift 2 ;;
    --keep) job+=(--keep); shift ;;
    --help | -h) usage; exit 0 ;;
    *) usage >&2; fail "unknown option $1" ;;
    esac
done
[ "$readings" -ge 1000 ] || fail "--readings must be at least 1000: faults need something to hit"

# Runs a command quietly; shows the end of its output if it fails.
quietly()
{
    local log=$1
    shift
    "$@" >>"$log" 2>&1 || { tail -n 40 "$log" >&2; fail "'$1' failed, all of its output: $log"; }
}

mkdir -p build
: >build/try.log

echo "1/3 packages"
tools/packages.sh build || fail "installing packages failed"

echo "2/3 building"
quietly build/try.log cmake --preset release
quietly build/try.log cmake --build --preset release --target oxbow-sensor powercut

echo "3/3 the main job: $readings readings"
exec python3 tests/e2e/mainjob.py --sensor build/release/bin/oxbow-sensor \
    --powercut build/release/lib/powercut.so --work build/try --readings "$readings" "${job[@]}"
