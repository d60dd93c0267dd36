# SPDX-License-Identifier: Apache-2.0
"""Streams and groups for differ.py: commands by chance, and what of their replies is each server's own.

No ids of the clock's making, and times that are over at once or never: both servers are asked a moment
apart. No `~`: what it leaves is each server's own (docs/RESP.md).
"""
import itertools
import re


def commands(w):
    k = lambda: w.key("x")
    g = lambda: b"g%d" % w.rng.randrange(3)
    c = lambda: b"c%d" % w.rng.randrange(3)
    rise = itertools.count(1)
    newest = [1]
    junk = lambda: w.rng.choice([b"", b"x", b"1-", b"-1", b"1-x", b"18446744073709551616-1", b"1-1-1", b"0-0", b"0"])

    def old():
        """The id of an entry that is or was there, most of the time."""
        if w.rng.random() < 0.03:
            return junk()
        ms = max(0, newest[0] - w.rng.randrange(40))
        return w.rng.choice([b"%d-%d" % (ms, w.rng.randrange(3)), b"%d-0" % ms, b"%d" % ms])

    def new():
        r = w.rng.random()
        if r < 0.03:
            return junk()
        if r < 0.1:
            return old()
        newest[0] = next(rise)
        return w.rng.choice([b"%d-*", b"%d", b"%d-0", b"%d-1", b"%d-2"]) % newest[0]

    edge = lambda: w.rng.choice([b"-", b"+", old(), b"(" + old(), b"-", b"+"])
    count = lambda chance=0.4: w.maybe(chance, b"COUNT", w.number(-1, 6))
    fields = lambda: sum(([b"f%d" % w.rng.randrange(3), w.value()] for _ in range(w.rng.choice([1, 1, 2, 5]))), [])
    # A bound that leaves some: small numbers alone would leave every stream short.
    trim = lambda: w.rng.choice([[b"MAXLEN", w.number(-1, 60)], [b"MAXLEN", b"=", w.number(0, 40)], [b"MINID", old()],
                                 [b"minid", b"=", old()], [b"MAXLEN", b"5", b"LIMIT", b"3"]])
    after = lambda: w.rng.choice([b"0", b"0-0", old(), b"$"])
    idle = lambda: w.rng.choice([b"0", b"0", b"0", b"9000000", b"-1", b"x"] if w.rng.random() < 0.2 else [b"0"])
    ids = lambda: [old() for _ in range(w.rng.choice([1, 1, 2, 6]))]

    def read_group():
        streams = w.rng.choice([[k()], [k()], [k(), k()]])
        # What is read again is told with how often it was: of one stream alone, for the order of several is open.
        where = [w.rng.choice([b">", b">", b">", b"0", old()]) for _ in streams]
        return [b"GROUP", g(), c(), *count(0.5), *w.maybe(0.1, b"NOACK"), *w.maybe(0.1, b"BLOCK", b"1"), b"STREAMS", *streams, *where]

    def group():
        return w.rng.choice([
            lambda: [w.rng.choice([b"CREATE", b"create"]), k(), g(), after(), *w.maybe(0.3, b"MKSTREAM"),
                     *w.maybe(0.1, b"ENTRIESREAD", w.number(-1, 9))],
            lambda: [b"CREATE", k(), g(), b"0", b"MKSTREAM"], lambda: [b"CREATE", k(), g(), b"0"],
            lambda: [b"SETID", k(), g(), after(), *w.maybe(0.2, b"ENTRIESREAD", w.number(-1, 9))],
            lambda: [b"CREATECONSUMER", k(), g(), c()], lambda: [b"DELCONSUMER", k(), g(), c()],
            lambda: [b"DESTROY", k(), g()] if w.rng.random() < 0.3 else [b"NO", k(), g()]])()

    return {
        "xadd": lambda: [k(), *w.maybe(0.1, b"NOMKSTREAM"), *w.maybe(0.15, *trim()), new(), *fields(), *w.maybe(0.02, b"f")],
        "xlen": lambda: [k()], "xdel": lambda: [k(), *ids()],
        "xtrim": lambda: [k(), *trim()],
        "xrange": lambda: [k(), edge(), edge(), *count()], "xrevrange": lambda: [k(), edge(), edge(), *count()],
        "xread": lambda: [*count(), *w.maybe(0.1, b"BLOCK", b"1"), b"STREAMS", *w.rng.choice([[k(), after()], [k(), k(), after(), after()], [k(), k(), after()]])],
        "xgroup": group, "xreadgroup": read_group,
        "xgroup|setid": lambda: [k(), g(), after()], "xgroup|createconsumer": lambda: [k(), g(), c()],
        "xgroup|delconsumer": lambda: [k(), g(), c()], "xgroup|destroy": lambda: [k(), w.rng.choice([g(), b"none", b"none"])],
        # A group whose consumers have something, or most of the rest would be refused.
        **{f"_group{n}": (lambda: [b"XGROUP", b"CREATE", k(), g(), b"0", b"MKSTREAM"]) for n in range(2)},
        **{f"_read{n}": (lambda: [b"XREADGROUP", b"GROUP", g(), c(), b"STREAMS", k(), b">"]) for n in range(2)},
        **{f"_add{n}": (lambda: [b"XADD", k(), new(), *fields()]) for n in range(2)},
        "xack": lambda: [k(), g(), *ids()],
        "xclaim": lambda: [k(), g(), c(), idle(), *ids(), *w.maybe(0.2, b"IDLE", w.rng.choice([b"0", b"9900000", b"x"])),
                           *w.maybe(0.2, b"RETRYCOUNT", w.number(0, 9)), *w.maybe(0.3, b"FORCE"), *w.maybe(0.4, b"JUSTID"),
                           *w.maybe(0.1, b"LASTID", old())],
        "xautoclaim": lambda: [k(), g(), c(), idle(), w.rng.choice([b"-", b"0", old()]), *count(), *w.maybe(0.4, b"JUSTID")],
        "xpending": lambda: [k(), g(), *w.maybe(0.6, *w.maybe(0.3, b"IDLE", idle()), edge(), edge(), w.number(-1, 9),
                                                *w.maybe(0.3, c()))],
        "xinfo": lambda: w.rng.choice([[b"STREAM", k()], [b"stream", k(), b"FULL", *count()], [b"GROUPS", k()],
                                       [b"CONSUMERS", k(), g()], [b"NO", k()]]),
        # Only upwards: below what was deleted Redis 7.0 would give ids away again.
        "xsetid": lambda: [k(), b"%d-9" % newest[0], *w.maybe(0.2, b"ENTRIESADDED", w.number(0, 900))],
    }


def _info(reply):
    """Without times, and without the size of a tree that one of the two does not have."""
    reply = re.sub(rb"((?:radix-tree-keys|radix-tree-nodes|idle|seen-time)\r\n):\d+", rb"\1:x", reply)
    return re.sub(rb":\d{13}\r\n", b":x\r\n", reply)


def _rows(reply):
    """Rows of XPENDING: how long each has been waiting is each server's own."""
    return re.sub(rb"(\*4\r\n\$\d+\r\n[^\r]*\r\n\$\d+\r\n[^\r]*\r\n):\d+", rb"\1:x", reply)


def info_alike(a, b):
    return _info(a) == _info(b)


def rows_alike(a, b):
    return _rows(a) == _rows(b)
