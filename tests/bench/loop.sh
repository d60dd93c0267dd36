#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs `oxbow bench` on a file system of its own, in a file: there the device's count of written bytes
# is that of the bench alone. As root, in a mount namespace that ends with it.
#
#   loop.sh PROGRAM [KIND [BENCH-OPTIONS...]]      KIND: ext4 (default) or xfs
#
# The file lies in $TMPDIR or /tmp; 12 GB, of which only what is used takes space.
set -euo pipefail
program=$(realpath "${1:?which program?}")
kind=${2:-ext4}
shift $(($# < 2 ? $# : 2))
if [ -z "${OXBOW_LOOP_INSIDE:-}" ]; then
    work=$(mktemp -d "${TMPDIR:-/tmp}/oxbow-loop-XXXXXX")
    trap 'rm -rf "$work"' EXIT
    OXBOW_LOOP_INSIDE=$work unshare -m --propagation private "$0" "$program" "$kind" "$@"
    exit
fi
work=$OXBOW_LOOP_INSIDE
truncate -s 12G "$work/image"
"mkfs.$kind" -q "$work/image"
mkdir "$work/mount"
mount -o loop "$work/image" "$work/mount"
trap 'umount "$work/mount"' EXIT
"$program" bench "$work/mount" "$@"
