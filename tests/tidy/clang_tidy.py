#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""clang-tidy over what is compiled from engine/, port/, tools/ and boards/, two files at a time.

    clang_tidy.py ROOT BUILD-DIR CLANG-TIDY [PATH-PREFIX...]

The checks, and why some are left out, stand in .clang-tidy. Exits 77 (skipped) when there is no
clang-tidy.
"""
import concurrent.futures
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

FOLDERS = ("engine/", "port/", "tools/", "boards/")
JOBS = 2
PLANTED = "static int f(int x)\n{\n    return x > 0 ? f(x - 1) : 0;\n}\nint main(void)\n{\n" \
          "    return f(3);\n}\n"


def run(tool, root, args):
    done = subprocess.run([tool, "--quiet"] + args, cwd=root, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def check_sight(tool, root):
    """A tool that sees nothing must not pass for a clean project."""
    with tempfile.TemporaryDirectory() as tmp:
        path = pathlib.Path(tmp, "engine", "planted.c")
        path.parent.mkdir()
        path.write_text(PLANTED)
        rc, text = run(tool, root, [f"--config-file={root}/.clang-tidy", str(path), "--",
                                    "-std=c11"])
    if rc == 0 or "misc-no-recursion" not in text:
        sys.exit(f"clang-tidy: a planted recursion was not seen:\n{text}")


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    root, build, tool = sys.argv[1:4]
    wanted = tuple(sys.argv[4:]) or FOLDERS
    if shutil.which(tool) is None:
        print("clang-tidy: skipped: not installed")
        sys.exit(77)
    check_sight(tool, root)
    commands = json.loads(pathlib.Path(build, "compile_commands.json").read_text())
    base = pathlib.Path(root).resolve()
    paths = sorted({c["file"] for c in commands
                    if c["file"].startswith(tuple(f"{base}/{w}" for w in wanted))})
    if not paths:
        sys.exit(f"clang-tidy: nothing in {build}/compile_commands.json is below {wanted}")
    bad = 0
    seen = set()
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        for path, (rc, text) in zip(paths, pool.map(lambda p: run(tool, root, ["-p", str(pathlib.Path(build).resolve()), p]),
                                                    paths)):
            if rc != 0:
                bad += 1
                for finding in re.split(r"\n(?=\S+:\d+:\d+: (?:error|warning):)", text):
                    if finding not in seen:
                        seen.add(finding)
                        print(finding.strip().replace(f"{base}/", ""))
    print(f"clang-tidy: {len(paths)} files, {bad} with something to report")
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
