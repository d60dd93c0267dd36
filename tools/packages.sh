#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages that oxbow is built with (`packages.sh build`), those that `try.sh
# gateway` needs (`packages.sh gateway`), or those to build and test it (`packages.sh test`). Does
# nothing, and needs no rights, when all are there. Quiet but for errors.
set -eu

build="build-essential cmake ninja-build pkg-config liblmdb-dev libuv1-dev libmbedtls-dev
liblua5.1-0-dev lua-bitop-dev lua-cjson-dev libpopt-dev libjansson-dev libhiredis-dev libsqlite3-dev zlib1g-dev libcmocka-dev redis-server redis-tools
openssl python3"
test="$build busybox-static ca-certificates ccache clang clang-format clang-tidy e2fsprogs gdb golang-go libclang-rt-dev
maven openjdk-17-jdk-headless python3-redis python3-venv qemu-system-x86 shellcheck strace xfsprogs"

case "${1-}" in
build) wanted=$build ;;
gateway) wanted="$build ca-certificates python3-venv" ;;
test) wanted=$test ;;
*)
    echo "usage: packages.sh build|gateway|test" >&2
    exit 2
    ;;
esac

fail() {
    echo "packages.sh: $1" >&2
    exit 1
}

missing_now() {
    for package in $wanted; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
            printf '%s ' "$package"
    done
}

if ! command -v apt-get >/dev/null 2>&1 || ! command -v dpkg-query >/dev/null 2>&1; then
    echo "packages.sh: not a Debian system: going on with what is installed. Needed:" >&2
    echo "$wanted" >&2
    exit 0
fi
missing=$(missing_now)
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null 2>&1 || fail "needs root or sudo to install: $missing"
    as_root=sudo
fi
try=1
while :; do
    # shellcheck disable=SC2086 # words are wanted
    if out=$($as_root apt-get -qq update 2>&1 &&
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
            -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 install $missing 2>&1); then
        break
    fi
    [ "$try" -lt 3 ] || fail "apt-get failed three times; the last time it said:
$(echo "$out" | tail -n 20)"
    try=$((try + 1))
    sleep 5
done
missing=$(missing_now)
[ -z "$missing" ] || fail "still missing: $missing"
