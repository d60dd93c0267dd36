#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/golden/make.sh TEST FORMAT: keeps the store that build/PRESET/bin/TEST writes (golden_test: 1,
# level_2_test: 1.2, level_2_more_test: 1.2b, level_2_members_test: 1.2c) as tests/golden/format-FORMAT.tar.gz. A version that was released is never made
# anew: a new one gets a new archive, and a new test beside the old ones.
set -eu
if [ $# -ne 2 ]; then
    sed -n 's/^# //p' "$0" | sed 1d >&2
    exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
out=$here/format-$2.tar.gz
if [ -e "$out" ]; then
    echo "$out is there already" >&2
    exit 1
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$1" --make "$work/store"
rm -f "$work/store/lock.mdb" # of the machine, made anew at open
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 --sparse -C "$work" -cf - store |
    gzip -9n >"$out"
ls -l "$out"
