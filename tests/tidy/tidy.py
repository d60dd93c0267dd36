#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""House rules that no compiler checks.

    tidy.py ROOT                all rules but `mirror`
    tidy.py ROOT RULE...        these rules alone

Prints `path:line: rule: text`, and exits 1 when there is anything to print. What is excused stands
in tests/tidy/exceptions.txt, each line with its reason; a line that excuses nothing is an error
itself, so the list only shrinks.
"""
import pathlib
import re
import sys

# Who may include whom. A file belongs to its longest prefix.
LAYERS = {
    "include/oxbow/": ["include/oxbow/"],
    "engine/base/": ["include/oxbow/", "engine/base/"],
    "engine/store/": ["include/oxbow/", "engine/base/", "engine/store/"],
    "engine/queue/": ["include/oxbow/", "engine/base/", "engine/store/", "engine/queue/"],
    "engine/keyval/": ["include/oxbow/", "engine/base/", "engine/store/", "engine/keyval/"],
    "engine/resp/": ["include/oxbow/", "engine/base/", "engine/resp/"],
    "engine/lua/": ["include/oxbow/", "engine/base/", "engine/resp/", "engine/lua/"],
    "engine/uplink/": ["include/oxbow/", "engine/base/", "engine/uplink/"],
    "port/posix/": ["include/oxbow/", "engine/base/", "port/posix/"],
    "port/uv/": ["include/oxbow/", "engine/base/", "port/uv/"],
    "port/mbedtls/": ["include/oxbow/", "engine/base/", "port/mbedtls/"],
    "port/template/": ["include/oxbow/", "engine/base/", "port/template/"],
    "tools/": ["include/oxbow/", "port/", "tools/"],
    "boards/": ["include/oxbow/", "port/", "boards/"],
    "tests/": ["include/oxbow/", "engine/", "port/", "tools/", "boards/", "tests/"],
}
# All that code without a system below it may take from C11. <stdio.h> is for snprintf: symbols.py
# sees to it that nothing else comes from there; <stdlib.h> is for strtod and strtold. <errno.h> is for its names, which LMDB answers with.
ENGINE_SYSTEM = {"errno.h", "float.h", "limits.h", "stdalign.h", "stdarg.h", "stdatomic.h", "stdbool.h", "stddef.h",
                 "stdint.h", "stdio.h", "stdlib.h", "stdnoreturn.h", "string.h", "inttypes.h"}
# Foreign libraries: where each may be included; outside of tests.
FOREIGN = [
    (r"lmdb\.h", ["engine/store/", "tools/oxbow/bench_peer_lmdb.c"]),
    (r"(lua|lualib|lauxlib|lua-cjson|lua-bitop)\.h", ["engine/lua/"]),
    (r"sqlite3\.h", ["tools/oxbow/bench_peer_sqlite.c"]),
    (r"uv(/.*)?\.h", ["port/uv/"]),
    (r"(mbedtls|psa)/.*", ["port/mbedtls/"]),
    (r"hiredis/.*", ["tools/oxbow/daemon.c"]),
    (r"openssl/.*", []),
]
FILE_LINES_MAX = 800
FUNCTION_LINES_MAX = 70
PARAMETERS_MAX = 6
SOURCE = {".c", ".h"}
SPDX = "SPDX-License-Identifier: Apache-2.0"
WORDS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|(?<![\w.])/(work|root|farm)/|/tmp/w/")
NAMELESS = re.compile(r"(^|_)(utils?|helpers?|misc|common)$")


class Tree:
    """The files below a root, each read once."""

    def __init__(self, root):
        self.root = pathlib.Path(root).resolve()
        self.text = {}
        for path in sorted(self.root.rglob("*")):
            rel = path.relative_to(self.root).as_posix()
            hidden = any(part.startswith(".") and part != ".ci" for part in rel.split("/"))
            if hidden or rel.startswith("build") or "__pycache__" in rel or not path.is_file():
                continue
            try:
                self.text[rel] = path.read_text()
            except UnicodeDecodeError:
                continue
        self.sources = [p for p in self.text if pathlib.Path(p).suffix in SOURCE]
        self.bare = {p: blank(self.text[p]) for p in self.sources}

    def includes(self, path):
        """(line, name, is quoted) of each include."""
        for n, line in enumerate(self.text[path].split("\n"), 1):
            m = re.match(r'\s*#\s*include\s+([<"])([^>"]+)[>"]', line)
            if m:
                yield n, m[2], m[1] == '"' or m[2].startswith("oxbow/")


def blank(text):
    """The text with comments and literals blanked, line for line."""
    def cover(m):
        return re.sub(r"[^\n]", " ", m[0])
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(\\.|[^"\\\n])*"|\'(\\.|[^\'\\\n])*\'', cover, text,
                  flags=re.S)


def layer_of(path):
    hits = [p for p in LAYERS if path.startswith(p)]
    return max(hits, key=len) if hits else None


def resolve(name):
    return "include/" + name if name.startswith("oxbow/") else name


def functions(bare):
    """(first line of the body, body lines, parameters) of each function definition."""
    depth = start = 0
    params = None
    for n, line in enumerate(bare.split("\n"), 1):
        if line.startswith("#"):
            continue
        for ch in line:
            if ch == "{":
                if depth == 0:
                    params = parameters_before(bare, n)
                    start = n
                depth += 1
            elif ch == "}":
                depth -= 1
                if depth == 0 and params is not None:
                    yield start, n - start - 1, params


def parameters_before(bare, line):
    """How many parameters the definition has whose body opens on this line; None: not one."""
    lines = bare.split("\n")
    head = " ".join([x for x in lines[max(0, line - 12):line - 1] if not x.startswith("#")]
                    + [lines[line - 1].split("{")[0]])
    head = re.split(r"[;}]", head)[-1].rstrip()
    if not head.endswith(")"):
        return None
    depth, commas, at = 0, 0, len(head)
    while at > 0:
        at -= 1
        if head[at] == ")":
            depth += 1
        elif head[at] == "(":
            depth -= 1
            if depth == 0:
                break
        elif head[at] == "," and depth == 1:
            commas += 1
    inner = head[at + 1:-1].strip()
    return 0 if inner in ("", "void") else commas + 1


def rule_layers(tree):
    for path in tree.sources:
        own = layer_of(path)
        if own is None:
            yield path, 1, "file outside the layers"
            continue
        for n, name, quoted in tree.includes(path):
            if not quoted:
                continue
            to = resolve(name)
            if path.startswith("boards/") and f"{path.rpartition('/')[0]}/{to}" in tree.text:
                continue  # a board is there to be copied out
            if to not in tree.text:
                if path.startswith(("tools/", "boards/", "tests/")) and name.startswith("oxbow/"):
                    continue  # the compiler's business
                yield path, n, f"{name} is not a path from the root of the project"
            elif not any(to.startswith(p) for p in LAYERS[own]):
                yield path, n, f"{own} may not include {to}"


def rule_foreign(tree):
    lmdb_homes = []
    for path in tree.sources:
        if path.startswith("tests/"):
            continue
        engine = path.startswith(("engine/", "include/"))
        for n, name, quoted in tree.includes(path):
            if quoted:
                continue
            homes = next((h for pat, h in FOREIGN if re.fullmatch(pat, name)), None)
            if homes is not None:
                if not path.startswith(tuple(homes)):
                    yield path, n, f"<{name}> belongs in {', '.join(homes) or 'no file'}"
                elif engine and name == "lmdb.h":
                    lmdb_homes.append((path, n))
            elif engine and name not in ENGINE_SYSTEM:
                yield path, n, f"<{name}> is not for the engine"
    for path, n in lmdb_homes[1:]:
        yield path, n, f"<lmdb.h> belongs in one file alone, and {lmdb_homes[0][0]} is it"


def rule_cycles(tree):
    graph = {p: [resolve(name) for _, name, quoted in tree.includes(p) if quoted]
             for p in tree.sources}
    state = {}
    for first in graph:
        stack = [(first, iter(graph[first]))] if first not in state else []
        state.setdefault(first, "open")
        while stack:
            node, rest = stack[-1]
            to = next((t for t in rest if t in graph and state.get(t) != "done"), None)
            if to is None:
                state[node] = "done"
                stack.pop()
            elif state.get(to) == "open":
                ring = [p for p, _ in stack]
                yield node, 1, "include cycle " + " -> ".join(ring[ring.index(to):] + [to])
            else:
                state[to] = "open"
                stack.append((to, iter(graph[to])))


def rule_file_size(tree):
    for path in tree.sources:
        lines = tree.text[path].count("\n")
        if lines > FILE_LINES_MAX:
            yield path, FILE_LINES_MAX, f"{lines} lines, and {FILE_LINES_MAX} is the most"


def rule_function_size(tree):
    for path in tree.sources:
        if path.startswith("tests/"):
            continue
        for line, length, params in functions(tree.bare[path]):
            if length > FUNCTION_LINES_MAX:
                yield path, line, f"function of {length} lines, and {FUNCTION_LINES_MAX} is the most"
            if params > PARAMETERS_MAX:
                yield path, line, f"{params} parameters, and {PARAMETERS_MAX} is the most"


def rule_spdx(tree):
    for path, text in tree.text.items():
        name = pathlib.Path(path)
        wanted = name.suffix in SOURCE | {".py", ".sh", ".cmake"} or name.name == "CMakeLists.txt" \
            or text.startswith("#!")
        if wanted and SPDX not in "\n".join(text.split("\n")[:3]):
            yield path, 1, f"'{SPDX}' is not among the first lines"


def rule_words(tree):
    for path, text in tree.text.items():
        if path.startswith("tests/tidy/"):
            continue
        for n, line in enumerate(text.split("\n"), 1):
            m = WORDS.search(line)
            if m:
                yield path, n, f"'{m[0]}' does not belong in the project"


def rule_names(tree):
    for path in tree.sources:
        if NAMELESS.search(pathlib.Path(path).stem):
            yield path, 1, "a file is named by what it holds"


def rule_language(tree):
    """What C11 has or compilers add, and the engine does without."""
    words = re.compile(r"\b(alloca|typeof|__typeof__|__int128|__extension__|goto \*|setjmp|longjmp)\b")
    for path in tree.sources:
        if not path.startswith(("engine/", "include/")):
            continue
        for n, line in enumerate(tree.bare[path].split("\n"), 1):
            m = words.search(line)
            if m:
                yield path, n, f"'{m[1]}' is not for the engine"
            if re.match(r"\s*typedef\s+(struct|union|enum)\b", line):
                yield path, n, "no typedef of structs"


def rule_mirror(tree):
    for path in tree.sources:
        m = re.fullmatch(r"(engine|port)/(\w+)/(\w+)\.c", path)
        if not m:
            continue
        # list_edit.c is a part of what list_test.c tests.
        words = m[3].split("_")
        names = ["_".join(words[:n]) for n in range(len(words), 0, -1)]
        if not any(f"tests/{m[2]}/{name}_test.c" in tree.text for name in names):
            yield path, 1, f"has no tests/{m[2]}/{m[3]}_test.c"


RULES = {name[5:].replace("_", "-"): rule for name, rule in list(globals().items())
         if name.startswith("rule_")}
BY_DEFAULT = [r for r in RULES if r != "mirror"]
EXCEPTIONS = "tests/tidy/exceptions.txt"


def read_exceptions(tree):
    """rule, path -> line. A mirror's exception names the test that stands in for it."""
    found = {}
    for n, line in enumerate(tree.text.get(EXCEPTIONS, "").split("\n"), 1):
        part = line.split("#")[0].split()
        if not part:
            continue
        reason = line.partition("#")[2].strip()
        ok = len(part) == 2 and part[0] in RULES and reason
        if part[0] == "mirror":
            ok = len(part) == 3 and part[2] in tree.text
        if not ok:
            complaint = f"{EXCEPTIONS}:{n}: exceptions: not 'RULE PATH # reason' or " \
                         "'mirror PATH TEST' with a test that exists"
            found[("", str(n))] = complaint
        else:
            found[(part[0], part[1])] = n
    return found


def check(root, rules):
    """All that is to be reported, as lines."""
    tree = Tree(root)
    excused = read_exceptions(tree)
    out = [text for (rule, _), text in excused.items() if rule == ""]
    used = set()
    for rule in rules:
        for path, line, text in RULES[rule](tree):
            if (rule, path) in excused:
                used.add((rule, path))
            else:
                out.append(f"{path}:{line}: {rule}: {text}")
    for key, n in excused.items():
        if key[0] in rules and key not in used:
            out.append(f"{EXCEPTIONS}:{n}: exceptions: excuses nothing any more: remove it")
    return out, len(tree.sources)


def main():
    if len(sys.argv) < 2 or any(r not in RULES for r in sys.argv[2:]):
        sys.exit(__doc__ + "\nrules: " + " ".join(RULES))
    found, count = check(sys.argv[1], sys.argv[2:] or BY_DEFAULT)
    if count == 0:
        sys.exit(f"tidy: no source below {sys.argv[1]}: nothing was checked")
    print("\n".join(found) or f"tidy: {count} files, nothing to report")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
