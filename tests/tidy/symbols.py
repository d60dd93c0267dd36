#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the engine's archives may ask of the rest of the world, and what they may keep.

    symbols.py NM ARCHIVE...       checks the archives, named liboxbow_<folder>.a
    symbols.py NM --self-test CC   plants violations and expects to see them

Outside of the engine a symbol must be on the allow-list: no malloc, printf, time, socket, pthread.
Inside, an archive may use those below it, and the public API. No archive has writable data: the
engine has no mutable globals.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

# From the C library: bytes, strings, and formatting into a given buffer; nothing with a system
# behind it. The rest is what compilers call by themselves.
OUTSIDE = re.compile(
    r"(__)?mem(cpy|cmp|move|set|chr)(_chk)?|str(len|nlen|cmp|ncmp|r?chr|str)|"
    r"(__isoc23_)?strto(ld|d)|v?snprintf|__v?snprintf_chk|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_|__tls_get_addr|"
    r"__(u?div|u?mod|u?divmod|mul|ashl|ashr|lshr|clz|ctz|popcount|bswap)[sdt]i[234]|"
    r"__atomic_\w+|__aeabi_\w+|oxbow_port_default")
# The one archive that leans on each of these.
FOREIGN = {"store": re.compile(r"mdb_\w+"), "lua": re.compile(r"lua_\w+|luaL_\w+|luaopen_\w+")}
# Each archive and those that it may lean on as the engine's own; others only through oxbow_*.
BELOW = {
    "base": [],
    "store": ["base"],
    "queue": ["base", "store"],
    "keyval": ["base", "store"],
    "resp": ["base"],
    "lua": ["base", "resp"],
    "uplink": ["base"],
}


def read_archive(nm, archive):
    """Names defined, names needed, and (name, section) of writable data."""
    run = subprocess.run([nm, "--format=sysv", archive], capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(f"symbols: {nm} {archive}: {run.stderr.strip()}")
    defined, needed, writable = set(), set(), []
    for line in run.stdout.split("\n"):
        part = [x.strip() for x in line.split("|")]
        if len(part) != 7 or part[0] == "Name":
            continue
        name, kind, section = part[0], part[2], part[6]
        if kind in ("U", "w", "v"):
            needed.add(name)
        elif kind.isupper() or kind == "u":
            defined.add(name)
        if re.match(r"\.(t?data|t?bss)\b(?!\.rel\.ro)|\*COM\*", section) and kind not in "Uwv":
            writable.append((name, section))
    return defined, needed - defined, writable


def check(nm, archives):
    """All complaints, and how many symbols were looked at."""
    of = {}
    for archive in archives:
        m = re.fullmatch(r"liboxbow_(\w+)\.a", pathlib.Path(archive).name)
        if not m or m[1] not in BELOW:
            sys.exit(f"symbols: {archive} is not an archive of the engine")
        of[m[1]] = read_archive(nm, archive)
    home = {name: lib for lib, (defined, _, _) in of.items() for name in defined}
    out = []
    for lib, (_, needed, writable) in sorted(of.items()):
        for name in sorted(needed):
            at = home.get(name)
            fine = at in BELOW[lib] or name.startswith("oxbow_") if at else \
                OUTSIDE.fullmatch(name) or (lib in FOREIGN and FOREIGN[lib].fullmatch(name))
            if not fine:
                out.append(f"liboxbow_{lib}: needs {name}" + (f" of liboxbow_{at}" if at else ""))
        out += [f"liboxbow_{lib}: {name} is writable ({section})" for name, section in writable]
    return out, sum(len(d) + len(n) for d, n, _ in of.values())


# library, code, what the complaint must contain; None: no complaint.
PLANTED = [
    ("base", "void *malloc(unsigned long); void *f(void) { return malloc(3); }", "needs malloc"),
    ("base", "int printf(const char *, ...); int f(int x) { return printf(\"%d\", x); }", "printf"),
    ("queue", "long time(long *); long f(void) { return time(0); }", "needs time"),
    ("uplink", "int socket(int, int, int); int f(void) { return socket(1, 2, 3); }", "socket"),
    ("store", "int pthread_create(void); int f(void) { return pthread_create(); }", "pthread"),
    ("resp", "int lua_gettop(void); int f(void) { return lua_gettop(); }", "needs lua_gettop"),
    ("queue", "int mdb_get(void); int f(void) { return mdb_get(); }", "needs mdb_get"),
    ("uplink", "int kv_get(void); int f(void) { return kv_get(); }", "kv_get of liboxbow_store"),
    ("base", "int list_x(void); int f(void) { return list_x(); }", "list_x of liboxbow_queue"),
    ("base", "static int count; int f(void) { return count++; }", "count is writable"),
    ("base", "int count = 3;", "count is writable"),
    ("base", "int count;", "count is writable"),
    ("base", "int f(void) { static _Thread_local int x; return x++; }", "is writable"),
    ("store", "int mdb_get(void); int f(void) { return mdb_get(); }", None),
    ("lua", "int lua_gettop(void); int f(void) { return lua_gettop(); }", None),
    ("queue", "int kv_get(void); int f(void) { return kv_get(); }", None),
    ("uplink", "int oxbow_x(void); int f(void) { return oxbow_x(); }", None),
    ("base", "const char *const t[] = {\"a\", \"b\"}; int f(void) { return t[0][0]; }", None),
]
PROVIDED = {"store": "int kv_get(void) { return 1; }",
            "queue": "int list_x(void) { return 1; } int oxbow_x(void) { return 1; }"}


def self_test(nm, cc):
    with tempfile.TemporaryDirectory() as tmp:
        def archive(lib, code, name):
            base = pathlib.Path(tmp, name)
            base.mkdir(exist_ok=True)
            (base / "x.c").write_text(code)
            subprocess.run([cc, "-fPIC", "-fdata-sections", "-w", "-c", "x.c"], cwd=base, check=True)
            out = base / f"liboxbow_{lib}.a"
            subprocess.run(["ar", "crs", out, base / "x.o"], check=True)
            return str(out)
        for n, (lib, code, expect) in enumerate(PLANTED):
            others = [archive(x, c, f"other{n}") for x, c in PROVIDED.items() if x != lib]
            found, seen = check(nm, [archive(lib, code, f"planted{n}")] + others)
            good = not found if expect is None else any(expect in x for x in found)
            if not good or seen == 0:
                sys.exit(f"symbols: self-test: {code}\n  expected {expect}, saw {found}")
    print(f"symbols: {len(PLANTED)} planted cases seen as they should be")


def main():
    if len(sys.argv) == 4 and sys.argv[2] == "--self-test":
        return self_test(sys.argv[1], sys.argv[3])
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    found, seen = check(sys.argv[1], sys.argv[2:])
    if seen < 10:
        sys.exit(f"symbols: {seen} symbols in {sys.argv[2:]}: nothing was checked")
    print("\n".join(found) or f"symbols: {seen} symbols in {len(sys.argv) - 2} archives, all allowed")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
