#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Installs what is needed (Debian 12), builds everything and runs every test.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
    cat <<'END'
Usage: tools/test.sh [--quick]

Installs missing Debian packages, then builds and runs: the tests under AddressSanitizer and UBSan,
those of TLS once more with the next Debian's mbedTLS, those with threads under ThreadSanitizer,
the fuzz targets for some seconds each (and everything once through clang), and last the whole
suite with the gates on the optimised build. Ends with ctest's own summary. Logs are in
build/logs/. Can be run again at any time.

  --quick   the optimised build's quick tests and gates alone
  --help    this text

Needs root or sudo only when packages are missing. Exit status: 0 when everything passed.
END
}

quick=0
while [ $# -gt 0 ]; do
    case $1 in
    --quick) quick=1 ;;
    --help | -h)
        usage
        exit 0
        ;;
    *)
        echo "test.sh: unknown option '$1'; try --help" >&2
        exit 2
        ;;
    esac
    shift
done

logs=build/logs
skipped_stages=()
mkdir -p "$logs"
if command -v ccache >/dev/null; then
    export CMAKE_C_COMPILER_LAUNCHER=ccache CMAKE_CXX_COMPILER_LAUNCHER=ccache
fi
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_stack_use_after_return=1:strict_string_checks=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1:second_deadlock_stack=1}
export CTEST_PARALLEL_LEVEL=${CTEST_PARALLEL_LEVEL:-$(nproc)}
# Random tests draw anew for each state of the sources, and the same whenever it is tested again: what
# fails elsewhere can be repeated here. Campaigns are for the rest.
if [ -z "${OXBOW_SEED:-}" ]; then
    tree=$(git rev-parse --short=8 'HEAD^{tree}' 2>/dev/null) && OXBOW_SEED=$((16#${tree:0:7})) ||
        OXBOW_SEED=$(date +%s)
fi
export OXBOW_SEED

# failed_tests LOG: the end of what each failed test printed, as ctest --output-on-failure leaves it,
# and the seeds that it named.
failed_tests() {
    awk '
        function flush_kept(i) {
            for (i = 1; i <= kept; i++) if (i > kept - 25 || lines[i] ~ /OXBOW_SEED=/) print "  " lines[i]
            kept = 0
        }
        /^ *[0-9]+\/[0-9]+ Test +#/ || /^ +Start +[0-9]+:/ || /^[0-9]+% tests passed/ {
            flush_kept()
            telling = /\*\*\*/
            if (telling) print "---- " $0
            next
        }
        telling { lines[++kept] = $0 }
        END { flush_kept() }
    ' "$1"
}

# stage NAME COMMAND...: one line, the rest goes to build/logs/NAME.log. Ends all when it fails. A
# command that cannot run here exits with 77 and says why in its last line.
stage() {
    local name=$1 start=$SECONDS rc=0
    shift
    printf '%-28s' "$name"
    "$@" >"$logs/$name.log" 2>&1 || rc=$?
    if [ "$rc" = 0 ]; then
        echo "ok  $((SECONDS - start)) s"
        return
    fi
    if [ "$rc" = 77 ]; then
        echo "skipped"
        skipped_stages+=("$(tail -n 1 "$logs/$name.log")")
        return
    fi
    echo "FAILED after $((SECONDS - start)) s"
    echo "---- end of $logs/$name.log"
    # A failed build says why in the middle, failed tests at the end.
    grep -E -A8 '(error|FAILED):' "$logs/$name.log" | head -n 40 || true
    tail -n 40 "$logs/$name.log"
    failed_tests "$logs/$name.log"
    echo "test.sh: $name failed; all of it: $logs/$name.log"
    exit 1
}

build() {
    cmake --preset "$1" && cmake --build --preset "$1"
}

# suite PRESET CTEST-OPTIONS...
suite() {
    local preset=$1
    shift
    ctest --test-dir "build/$preset" --output-on-failure --no-tests=error "$@"
}

# ci_forget PRESET: on a CI machine the programs of a stage that is green, gigabytes, make room for
# the next; elsewhere they stay, and the next run links nothing twice.
ci_forget() {
    if [ "${CI:-}" = true ]; then rm -rf "build/$1/bin" "build/$1/lib"; fi
}

# A full disk fails builds and tests in a hundred ways that say nothing: say it first.
room() {
    local need_kib=$1 free_kib
    free_kib=$(df --output=avail -k . | tail -n 1)
    if [ "$free_kib" -lt "$need_kib" ]; then
        echo "test.sh: $((free_kib / 1024)) MiB are free here, a whole run needs $((need_kib / 1024))" >&2
        exit 1
    fi
}

has_tests() {
    ! ctest --test-dir "build/$1" -N -L "$2" | grep -q '^Total Tests: 0$'
}

# What ran but skipped itself, in whole (exit status 77) or in part (a case of a program).
skipped() {
    local preset=$1 log=build/$1/Testing/Temporary/LastTest.log
    [ -e "$log" ] || return 0
    { grep -hE ': skipped: ' "$log" || true
      grep -hE '^\[ +SKIPPED +\] [a-z_0-9]+$' "$log" | sed -E 's/^\[ +SKIPPED +\] //' | sort -u || true
    } | sed "s/^/skipped ($preset): /"
}

echo "oxbow: all tests; logs in $logs/; OXBOW_SEED=$OXBOW_SEED"
[ -d build/asan ] || [ "$quick" = 1 ] || room "$((8 * 1024 * 1024))"
stage packages tools/packages.sh test
stage build-release build release
if [ "$quick" = 0 ]; then
    stage build-asan build asan
    stage test-asan suite asan -LE 'gate|bench|fuzz' -E '_control_'
    ci_forget asan
    stage test-mbedtls-3.6 tools/mbedtls36.sh
    stage build-tsan build tsan
    stage test-tsan suite tsan -L threads
    ci_forget tsan
    stage build-fuzz-clang build fuzz
    if has_tests fuzz fuzz; then
        stage test-fuzz suite fuzz -L fuzz
    else
        echo "skipped: fuzz: there are no fuzz targets"
    fi
    ci_forget fuzz
    stage test-release suite release
    echo "left out: asan: labels gate, bench, fuzz (they check sources, speed, other builds)"
    echo "left out: asan: controls of the crash lab (stores broken on purpose; below on the optimised build)"
    echo "left out: tsan: all but the label threads (one thread has no races)"
    for preset in asan tsan fuzz release; do
        skipped "$preset"
    done
    for reason in "${skipped_stages[@]}"; do
        echo "skipped: $reason"
    done
else
    stage test-release suite release -L 'quick|gate'
    echo "left out: asan, tsan, fuzz, and all tests that are not quick (--quick)"
    skipped release
fi
echo
sed -n '/^[0-9]*% tests passed/,$p' "$logs/test-release.log"
