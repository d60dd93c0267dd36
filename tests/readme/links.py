# SPDX-License-Identifier: Apache-2.0
"""Every relative link of Markdown files, and every command under tools/, must exist."""
import re
import sys
from pathlib import Path


def main() -> int:
    found, gone = 0, 0
    for source in map(Path, sys.argv[1:]):
        text = source.read_text(encoding="utf-8")
        places = [(link, source.parent / link) for link in re.findall(r"\]\(([^)#]+)\)", text)
                  if "://" not in link]
        places += [(tool, Path(sys.argv[1]).parent / tool)
                   for tool in re.findall(r"^ *(tools/[\w./-]+)", text, re.MULTILINE)]
        found += len(places)
        for name, place in places:
            if not place.exists():
                print(f"{source.name} names {name}, which is not there", file=sys.stderr)
                gone += 1
    return 1 if gone or not found else 0


if __name__ == "__main__":
    sys.exit(main())
