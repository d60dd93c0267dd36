# SPDX-License-Identifier: Apache-2.0
"""Every relative link of a Markdown file, and every command under tools/, must exist."""
import re
import sys
from pathlib import Path


def main() -> int:
    source = Path(sys.argv[1])
    text = source.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    links += re.findall(r"^(tools/\S+)", text, re.MULTILINE)
    gone = [link for link in links if not (source.parent / link).exists()]
    for link in gone:
        print(f"{source.name} names {link}, which is not there", file=sys.stderr)
    return 1 if gone or not links else 0


if __name__ == "__main__":
    sys.exit(main())
