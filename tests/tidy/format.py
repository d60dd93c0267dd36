#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every source is as clang-format leaves it.

    format.py ROOT CLANG-FORMAT

Exits 77 (skipped) when that is not clang-format 14: other versions break lines elsewhere.
"""
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import tidy  # noqa: E402

VERSION = "14"


def differs(tool, root, paths):
    run = subprocess.run([tool, "--dry-run", "--Werror", "--style=file"] + paths, cwd=root,
                         capture_output=True, text=True)
    return run.returncode != 0, run.stderr


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    root, tool = sys.argv[1:]
    try:
        said = subprocess.run([tool, "--version"], capture_output=True, text=True).stdout
    except OSError:
        said = ""
    m = re.search(r"version (\d+)", said)
    if not m or m[1] != VERSION:
        print(f"format: skipped: clang-format {VERSION} is not installed")
        sys.exit(77)
    planted = subprocess.run([tool, "--dry-run", "--Werror", "--style=file",
                              "--assume-filename=engine/x.c"], input="int  x ;\n", cwd=root,
                             capture_output=True, text=True)
    if planted.returncode == 0:
        sys.exit("format: a planted violation was not seen")
    paths = tidy.Tree(root).sources
    if not paths:
        sys.exit(f"format: no source below {root}")
    bad, text = differs(tool, root, paths)
    if bad:
        names = sorted({line.split(":")[0] for line in text.split("\n") if ": error:" in line})
        sys.exit("\n".join([text[:3000], "to mend: clang-format -i " + " ".join(names)]))
    print(f"format: {len(paths)} files, nothing to report")


if __name__ == "__main__":
    main()
