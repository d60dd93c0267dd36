# SPDX-License-Identifier: Apache-2.0
"""Writes the one C example of a Markdown file to a C file, at its own line numbers."""
import sys
from pathlib import Path


def main() -> int:
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    lines = source.read_text(encoding="utf-8").splitlines()
    starts = [n for n, line in enumerate(lines) if line == "```c"]
    if len(starts) != 1:
        print(f"{source}: {len(starts)} C examples instead of 1", file=sys.stderr)
        return 1
    end = lines.index("```", starts[0])
    code = "\n".join(lines[starts[0] + 1:end])
    target.write_text(f'#line {starts[0] + 2} "{source}"\n{code}\n', encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
