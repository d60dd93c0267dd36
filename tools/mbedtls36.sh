#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds what speaks TLS with the mbedTLS of the next Debian, and runs its tests.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
    cat <<'END'
Usage: tools/mbedtls36.sh [CTEST-OPTION...]

Debian 12 has mbedTLS 2.28, Debian 13 has 3.6. This fetches the latter's packages from the mirror
that apt is set up with, unpacks them below build/mbedtls36 (nothing is installed, and no list of
the system is changed), builds the TLS and uplink tests with AddressSanitizer and UBSan against
them, and runs these. Needs no root. Can be run again: what was fetched is kept.

Prints `mbedtls36: skipped: WHY` and exits 77 when the packages cannot be had here.
END
}

case "${1-}" in
--help | -h)
    usage
    exit 0
    ;;
esac

release=trixie
here=$PWD/build/mbedtls36
root=$here/root
keys=/usr/share/keyrings/debian-archive-keyring.gpg

skip() {
    echo "mbedtls36: skipped: $1"
    exit 77
}

# apt with lists, cache and sources of its own.
own_apt() {
    local command=$1
    shift
    "$command" -qq -o Dir::Etc::sourcelist="$here/apt/sources.list" \
        -o Dir::Etc::sourceparts=/dev/null -o Dir::State::lists="$here/apt/lists" \
        -o Dir::Cache="$here/apt/cache" -o Acquire::Languages=none -o APT::Sandbox::User= \
        -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false \
        -o Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false \
        -o Acquire::Retries=2 "$@"
}

# The mirror from which this machine has its own packages.
mirror() {
    # shellcheck disable=SC2016 # apt's variables, not the shell's
    apt-get indextargets --format '$(CODENAME) $(COMPONENT) $(REPO_URI)' \
        'Created-By: Packages' 2>/dev/null | awk '$1 == "bookworm" && $2 == "main" { print $3; exit }'
}

fetch() {
    local uri arch name
    if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
        skip "not a Debian system"
    fi
    [ -r "$keys" ] || skip "no $keys"
    uri=$(mirror)
    [ -n "$uri" ] || skip "apt has no mirror of Debian 12 set up"
    arch=$(dpkg --print-architecture)
    rm -rf "$here/apt" "$here/new"
    mkdir -p "$here/apt/lists/partial" "$here/apt/cache/archives/partial" "$here/new"
    echo "deb [arch=$arch signed-by=$keys] $uri $release main" >"$here/apt/sources.list"
    own_apt apt-get --error-on=any update 2>&1 || skip "the lists of $release cannot be had"
    (cd "$here/apt" && own_apt apt-get download libmbedtls-dev) 2>&1 ||
        skip "libmbedtls-dev of $release cannot be had"
    for name in "$here"/apt/libmbedtls-dev_3.6*.deb; do
        [ -e "$name" ] || skip "$release has another mbedTLS by now"
        dpkg-deb -x "$name" "$here/new"
    done
    rm -rf "$here/apt" "$root"
    mv "$here/new" "$root"
}

[ -e "$root/usr/include/mbedtls/ssl.h" ] || fetch
libs=$(dirname "$(find "$root/usr/lib" -name libmbedtls.a)")
version=$(sed -nE 's/^#define MBEDTLS_VERSION_STRING +"(.*)"/\1/p' \
    "$root/usr/include/mbedtls/build_info.h")
echo "mbedtls36: mbedTLS $version"

cmake -S . -B "$here/build" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS=-O1 \
    -DOXBOW_SANITIZE=address,undefined \
    -DMBEDTLS_INCLUDE_DIR="$root/usr/include" -DMBEDTLS_LIBRARY="$libs/libmbedtls.a" \
    -DMBEDX509_LIBRARY="$libs/libmbedx509.a" -DMBEDCRYPTO_LIBRARY="$libs/libmbedcrypto.a"
mapfile -t tests < <(ninja -C "$here/build" -t targets all |
    sed -nE 's/^((mbedtls|uv)_[a-z_]+_test): phony$/\1/p')
[ "${#tests[@]}" -ge 10 ] || {
    echo "mbedtls36: only ${#tests[@]} tests were found" >&2
    exit 1
}
cmake --build "$here/build" --target "${tests[@]}" oxbow-sensor
"$here/build/bin/mbedtls_compat_test" | grep -xiF "mbed TLS $version" ||
    { echo "mbedtls36: the tests were built with another mbedTLS" >&2; exit 1; }
exec ctest --test-dir "$here/build" --output-on-failure --no-tests=error \
    -R '^(mbedtls|uv)_|^sensor_delivers_' "$@"
