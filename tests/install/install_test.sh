#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs into a fresh prefix and builds a program outside of the tree against it, through the
# CMake package and through pkg-config, with and without --static, and runs each.
#   install_test.sh CMAKE BUILD-DIR CC
set -eu
cmake=$1 build=$2 cc=$3
here=$(cd "$(dirname "$0")" && pwd)
work=$build/install-test
rm -rf "$work"
mkdir -p "$work"

run() {
    rm -rf "$work/store"
    said=$("$1" "$work/store")
    [ "$said" = kept ] || { echo "$1 said: $said"; exit 1; }
    echo "ok: $1"
}

"$cmake" --install "$build" --prefix "$work/prefix" >"$work/install.log"
"$cmake" -S "$here/consumer" -B "$work/cmake" -DCMAKE_PREFIX_PATH="$work/prefix" \
    -DCMAKE_C_COMPILER="$cc" >"$work/cmake.log"
"$cmake" --build "$work/cmake" >>"$work/cmake.log" || { cat "$work/cmake.log"; exit 1; }
run "$work/cmake/consumer"
for program in consumer_uplink consumer_resp; do
    [ ! -e "$work/cmake/$program" ] || run "$work/cmake/$program"
done

PKG_CONFIG_PATH=$(dirname "$(find "$work/prefix" -name oxbow.pc)")
export PKG_CONFIG_PATH
packages=oxbow
for package in oxbow-uplink oxbow-resp; do
    [ ! -e "$PKG_CONFIG_PATH/$package.pc" ] || packages="$packages $package"
done
for package in $packages; do
    for static in "" --static; do
        # shellcheck disable=SC2046,SC2086 # words are wanted
        "$cc" -std=c11 -Wall -Wextra -Werror $(pkg-config $static --cflags $package) \
            -o "$work/$package$static" "$here/consumer/main.c" \
            $(pkg-config $static --libs $package)
        run "$work/$package$static"
    done
done
if [ -e "$work/prefix/bin/oxbowd" ]; then
    "$work/prefix/bin/oxbowd" "$(find "$work/prefix" -name oxbowd.conf)" --test-config
    grep -q "^ExecStart=$work/prefix/bin/oxbowd " "$work/prefix/lib/systemd/system/oxbowd.service"
fi
# What was installed must not lean on where it was built.
if grep -rl --include='*.cmake' --include='*.pc' "$build/[^i]" "$work/prefix"; then
    echo "the files above name the build directory"
    exit 1
fi
