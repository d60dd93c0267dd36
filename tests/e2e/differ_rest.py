# SPDX-License-Identifier: Apache-2.0
"""For differ.py: what is not of one type of keys: draws, scans, ranges by bytes, waiting for a moment, connections,
users, settings, and what the server says of itself."""


def some_commands(w):
    """What is drawn by chance or comes in pieces, and ranges by bytes of members with one score."""
    k = lambda kind: w.key(kind)
    # A set is of another type, and never becomes a sorted set of several scores.
    q = lambda: b"one0" if w.rng.random() < 0.03 else b"q%d" % w.rng.randrange(3)
    m = lambda: w.rng.choice([b"", b"a", b"aa", b"b", b"c\xff", b"\x00", b"z%d" % w.rng.randrange(6)])
    edge = lambda: w.rng.choice([b"-", b"+", b"[" + m(), b"(" + m()] + [b"", b"x"] * (w.rng.random() < 0.1))
    limit = lambda: w.maybe(0.3, b"LIMIT", w.number(-1, 4), w.number(-1, 6))
    count = lambda: w.maybe(0.6, w.number(-3, 6))
    # All at once, since cursors are each server's own.
    scan = lambda: [b"0", b"COUNT", b"100000", *w.maybe(0.3, b"MATCH", w.rng.choice([b"*", b"v*", b"[a-m]?", b"l*", b"x"]))] \
        if w.rng.random() < 0.9 else w.rng.choice([[b"x"], [b"0", b"COUNT", b"0"], [b"0", b"COUNT", b"1000", b"MATCH"], [b"0", b"no", b"x"]])
    return {
        "_lex": lambda: [b"ZADD", b"q%d" % w.rng.randrange(3), b"0", m(), b"0", m()],
        "_lex_range": lambda: [b"ZRANGE", q(), edge(), edge(), b"BYLEX", *w.maybe(0.4, b"REV"), *limit()],
        "_lex_store": lambda: [b"ZRANGESTORE", b"q%d" % w.rng.randrange(3), q(), edge(), edge(), b"BYLEX", *limit()],
        "zlexcount": lambda: [q(), edge(), edge()], "zremrangebylex": lambda: [q(), edge(), edge()],
        "zrangebylex": lambda: [q(), edge(), edge(), *limit()], "zrevrangebylex": lambda: [q(), edge(), edge(), *limit()],
        "srandmember": lambda: [k("e"), *count()],
        "hrandfield": lambda: [k("h"), *w.maybe(0.7, w.number(-3, 6), *w.maybe(0.4, w.rng.choice([b"WITHVALUES", b"no"])))],
        "randomkey": lambda: [],
        # Of one member, or all: which ones are left would be chance.
        "_one": lambda: [b"SADD", b"one%d" % w.rng.randrange(3), b"m"],
        "spop": lambda: w.rng.choice([[b"one%d" % w.rng.randrange(3), *w.maybe(0.3, b"2")], [k("e"), w.rng.choice([b"0", b"-1", b"x"])],
                                      [k("e"), b"1000000"]]),
        "scan": lambda: [*scan(), *w.maybe(0.2, b"TYPE", w.rng.choice([b"list", b"hash", b"STRING", b"zset", b"no"]))],
        "sscan": lambda: [k("e"), *scan()], "hscan": lambda: [k("h"), *scan()], "zscan": lambda: [k("z"), *scan()],
        "substr": lambda: [k("s"), w.number(), w.number()],
    }


def waiting_commands(w):
    """For a moment, if they find nothing; who waits for others is in Differ.waits."""
    some = lambda kind: [w.key(kind) for _ in range(w.rng.choice([1, 1, 2]))]
    moment = lambda: w.rng.choice([b"-1", b"x", b""]) if w.rng.random() < 0.05 else b"0.001"
    many = lambda kind: (lambda keys: [b"%d" % (len(keys) + (w.rng.random() < 0.05)), *keys])(some(kind))
    count = lambda: w.maybe(0.3, b"COUNT", w.number(0, 5))
    return {
        "blpop": lambda: [*some("l"), moment()], "brpop": lambda: [*some("l"), moment()],
        "blmove": lambda: [w.key("l"), w.key("l"), w.end(), w.end(), moment()],
        "brpoplpush": lambda: [w.key("l"), w.key("l"), moment()],
        "blmpop": lambda: [moment(), *many("l"), w.end(), *count()],
        "bzpopmin": lambda: [*some("z"), moment()], "bzpopmax": lambda: [*some("z"), moment()],
        "bzmpop": lambda: [moment(), *many("z"), w.rng.choice([b"MIN", b"max", b"MAX", b"no"]), *count()],
    }


SETTINGS = [b"maxmemory", b"timeout", b"databases", b"slowlog*", b"notify-keyspace-events", b"maxclients", b"nosuch", b"acllog-max-len",
            b"client-output-buffer-limit", b"maxmemory-policy", b"busy-reply-threshold", b"proto-max-bulk-len"]
RULES = [b"on", b"off", b"nopass", b">x", b"<x", b"~a*", b"allkeys", b"resetkeys", b"&n*", b"+@all", b"-@all", b"reset", b"junk", b"~",
         b"%R~b", b"(+get ~c)", b"clearselectors"]


def server_commands(w):
    """Connections, users, settings, and what the server says of itself."""
    c = w.rng.choice
    user = lambda: c([b"u1", b"u2", b"nobody"])
    nobody = b"99999999"
    names = lambda: [c([b"get", b"LPUSH", b"config|get", b"xgroup|CREATE", b"nosuch", b"config|nosuch", b"spublish", b"zunion"])
                     for _ in range(c([1, 1, 2]))]
    table = {
        "hello": lambda: c([[], [b"2"], [b"3"], [b"x"], [b"4"], [b"2", b"SETNAME", b"n"], [b"3", b"AUTH", b"default", b"x"],
                            [b"2", b"SETNAME", b"a b"], [b"3", b"AUTH", b"absent", b"x"], [b"2", b"no"]]),
        "auth": lambda: c([[b"default", b"x"], [b"default", b"x"], [b"x"], [b"absent", b"x"]]),
        "reset": lambda: [],
        "client|id": lambda: [], "client|getname": lambda: [], "client|info": lambda: [],
        "client|setname": lambda: [c([b"n1", b"n2", b"", b"a b"])],
        "client|list": lambda: c([[], [b"TYPE", b"normal"], [b"TYPE", b"replica"], [b"TYPE", b"no"], [b"ID", nobody], [b"ID", b"x"]]),
        "client|no-evict": lambda: [c([b"on", b"OFF", b"no"])],
        "client|unblock": lambda: [c([nobody, nobody, b"x"]), *w.maybe(0.4, c([b"ERROR", b"timeout", b"no"]))],
        "client|kill": lambda: c([[b"ID", nobody], [b"ID", b"x"], [b"1.1.1.1:1"], [b"TYPE", b"no"], [b"TYPE", b"pubsub"], [b"USER", b"nobody"],
                                  [b"ADDR", b"1.1.1.1:1", b"LADDR", b"2.2.2.2:2"], [b"SKIPME", b"yes", b"ID", nobody], [b"no", b"x"]]),
        "config|get": lambda: [c(SETTINGS), *w.maybe(0.2, c(SETTINGS))],
        "config|set": lambda: c([[b"slowlog-max-len", b"128"], [b"notify-keyspace-events", b""], [b"latency-monitor-threshold", b"0"],
                                 [b"acllog-max-len", b"128"], [b"slowlog-max-len", b"x"], [b"nosuch", b"1"], [b"slowlog-max-len"],
                                 [b"notify-keyspace-events", b"q"], [b"slowlog-max-len", b"128", b"acllog-max-len", b"128"],
                                 # All or nothing: CONFIG GET tells.
                                 [b"timeout", b"%d" % w.rng.randrange(3600, 7200), b"slowlog-max-len", c([b"127", b"x"])],
                                 [b"slowlog-max-len", b"126", b"nosuch", b"1"], [b"proto-max-bulk-len", c([b"512mb", b"1gb", b"1", b"x"])],
                                 [b"hz", c([b"10", b"50"])], [b"save", b"", b"slowlog-max-len", b"125", b"notify-keyspace-events", c([b"", b"q"])]]),
        "config|resetstat": lambda: [], "config|rewrite": lambda: [],
        "acl|whoami": lambda: [], "acl|users": lambda: [], "acl|list": lambda: [],
        "acl|cat": lambda: w.maybe(0.6, c([b"hash", b"list", b"no", b"admin"])),
        "acl|genpass": lambda: w.maybe(0.6, c([b"5", b"256", b"0", b"x", b"5000"])),
        "acl|getuser": lambda: [c([b"default", user()])], "acl|setuser": lambda: [user(), *[c(RULES) for _ in range(c([0, 1, 2, 4]))]],
        "acl|deluser": lambda: [c([user(), user(), b"default"]), *w.maybe(0.3, user())],
        "acl|dryrun": lambda: [user(), c([b"get", b"set", b"ping", b"nosuch"]), *w.maybe(0.8, b"a1"), *w.maybe(0.3, b"v")],
        "acl|log": lambda: c([[], [b"RESET"], [b"0"], [b"3"], [b"x"]]), "acl|save": lambda: [], "acl|load": lambda: [],
        "command|count": lambda: [], "command|list": lambda: w.maybe(0.8, b"FILTERBY", c([b"PATTERN", b"aclcat", b"MODULE", b"no"]),
                                                                     c([b"x*", b"hash", b"config|*", b"no"])),
        "command|info": lambda: w.maybe(0.95, *names()), "command|docs": lambda: w.maybe(0.95, *names()),
        "info": lambda: w.maybe(0.7, c([b"keyspace", b"server", b"nosuch", b"Everything", b"memory"])),
        "time": lambda: [], "lastsave": lambda: [],
        # Differ.saves sends those that are carried out.
        "bgsave": lambda: c([[b"no"], [b"SCHEDULE", b"x"]]), "bgrewriteaof": lambda: [b"x"],
        "shutdown": lambda: c([[b"no"], [b"ABORT"], [b"SAVE", b"NOSAVE"], [b"ABORT", b"NOW"]]),
        # That everything goes is seldom, or there would be nothing to see.
        "flushall": lambda: w.maybe(0.97, c([b"no", b"ASYNC"]), b"x"), "flushdb": lambda: w.maybe(0.95, c([b"no", b"SYNC"]), b"x"),
        "swapdb": lambda: [c([b"1", b"2", b"9"]), c([b"1", b"2", b"9", b"16", b"x"])],
        "memory|stats": lambda: [], "memory|doctor": lambda: [], "memory|malloc-stats": lambda: [],
        "latency|doctor": lambda: [], "latency|histogram": lambda: w.maybe(0.7, c([b"get", b"nosuch", b"config|get"])),
        "pubsub|numsub": lambda: w.maybe(0.7, b"a"), "pubsub|channels": lambda: w.maybe(0.7, c([b"*", b"a"])),
        "script|flush": lambda: w.maybe(0.7, c([b"ASYNC", b"sync", b"no"])), "script|kill": lambda: [],
        "slowlog|get": lambda: w.maybe(0.7, w.number(-2, 9)), "slowlog|len": lambda: [],
    }
    for name in ("acl", "client", "command", "config", "debug", "function", "latency", "memory", "object", "pubsub", "script", "slowlog",
                 "xgroup", "xinfo"):
        table[name + "|help"] = lambda: w.maybe(0.1, b"x")
    return table
