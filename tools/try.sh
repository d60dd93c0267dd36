#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Shows what oxbow promises, on this machine: installs what is needed (Debian 12), builds, then runs
# the main job: a sensor writes readings through power cuts and kills, over a broken network, to a
# real Redis over TLS. With the word `gateway`: Celery with Django and BullMQ work on oxbowd through
# power cuts and kills. The last lines say what was proved; the exit status says whether it was.
set -euo pipefail
cd "$(dirname "$0")/.."

usage()
{
    cat <<'END'
Usage: tools/try.sh [--readings N] [--seed N] [--keep]
       tools/try.sh gateway [--jobs N] [--seed N]

Without a word the main job: a sensor's readings through faults to a real Redis.

  --readings N   readings to write and deliver (default 100,000)
  --keep         leave the Redis server running afterwards, to look at the data

gateway: Celery with Django and BullMQ work on oxbowd through power cuts and kills. Their pinned
versions come from PyPI and npm, once, into build/clients.

  --jobs N       jobs to be acknowledged and carried out (default 6,000)

  --seed N       of all chances: repeats a plan (default: a new one)
  --help         this text

Each takes one to three minutes. Needs root or sudo only to install Debian packages that are missing.
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
what=main
if [ "${1-}" = gateway ]; then
    what=gateway
    shift
fi
readings=100000
jobs=6000
while [ $# -gt 0 ]; do
    case $1 in
    --seed) number "$@"; job+=(--seed "$2"); shift 2 ;;
    --help | -h) usage; exit 0 ;;
    --readings)
        [ "$what" = main ] || fail "$1 is of the main job"
        number "$@"
        readings=$2
        shift 2
        ;;
    --keep)
        [ "$what" = main ] || fail "$1 is of the main job"
        job+=(--keep)
        shift
        ;;
    --jobs)
        [ "$what" = gateway ] || fail "$1 is of the gateway's job"
        number "$@"
        jobs=$2
        shift 2
        ;;
    *) usage >&2; fail "unknown option $1" ;;
    esac
done
[ "$readings" -ge 1000 ] || fail "--readings must be at least 1000: faults need something to hit"
[ "$jobs" -ge 1000 ] || fail "--jobs must be at least 1000: faults need something to hit"

# Runs a command quietly; shows the end of its output if it fails.
quietly()
{
    local log=$1
    shift
    "$@" >>"$log" 2>&1 || { tail -n 40 "$log" >&2; fail "'$1' failed, all of its output: $log"; }
}

mkdir -p build
: >build/try.log

# build_of TARGET...
build_of()
{
    quietly build/try.log cmake --preset release
    quietly build/try.log cmake --build --preset release --target "$@"
}

echo "1/3 packages"
if [ "$what" = gateway ]; then
    tools/packages.sh gateway || fail "installing packages failed"
    echo "2/3 building, and fetching Celery and BullMQ"
    build_of oxbowd powercut
    quietly build/try.log python3 tests/e2e/clients/run.py --fetch python node --cache build/clients
    echo "3/3 the gateway's job: $jobs jobs"
    exec python3 tests/e2e/gatewayjob.py --server build/release/bin/oxbowd \
        --powercut build/release/lib/powercut.so --work build/try-gateway --cache build/clients \
        --jobs "$jobs" "${job[@]}"
fi
tools/packages.sh build || fail "installing packages failed"
echo "2/3 building"
build_of oxbow-sensor powercut
echo "3/3 the main job: $readings readings"
exec python3 tests/e2e/mainjob.py --sensor build/release/bin/oxbow-sensor \
    --powercut build/release/lib/powercut.so --work build/try --readings "$readings" "${job[@]}"
