# SPDX-License-Identifier: Apache-2.0
"""Commands by chance for differ.py: of each type of keys, of keys, connections and transactions."""


class Words:
    """Arguments by chance, most of them fit for what they are for."""

    def __init__(self, rng, memory=False):
        self.rng, self.memory = rng, memory

    def key(self, kind):
        r = self.rng.random()
        if r < 0.04:
            kind = self.rng.choice(["l", "s", "h", "z", "e", "x"])
        return b"%s%d" % (kind.encode(), self.rng.randrange(4))

    def value(self):
        r = self.rng.random()
        if r < 0.7:
            return b"v%d" % self.rng.randrange(8)
        if r < 0.8:
            return b"%d" % self.rng.randrange(-20, 100)
        if r < 0.9:
            return bytes(self.rng.randrange(256) for _ in range(self.rng.randrange(12)))
        return b"y" * self.rng.choice([0, 1, 63, 64, 65, 500, 4080, 5000, 70000])

    def number(self, low=-12, high=12):
        r = self.rng.random()
        if r < 0.94:
            return b"%d" % self.rng.randrange(low, high)
        return self.rng.choice([b"", b"x", b"1.5", b"01", b" 1", b"9223372036854775807",
                                b"-9223372036854775808", b"9223372036854775808", b"-0", b"+1"])

    def maybe(self, chance, *args):
        return list(args) if self.rng.random() < chance else []

    def end(self):
        return self.rng.choice([b"LEFT", b"RIGHT", b"left", b"RIGHT", b"up"]
                               if self.rng.random() < 0.1 else [b"LEFT", b"RIGHT"])

    def values(self):
        return [self.value() for _ in range(self.rng.choice([1, 1, 1, 2, 3, 20]))]


def list_commands(w):
    k = lambda: w.key("l")
    return {
        "lpush": lambda: [k(), *w.values()], "rpush": lambda: [k(), *w.values()],
        "lpushx": lambda: [k(), *w.values()], "rpushx": lambda: [k(), *w.values()],
        "lpop": lambda: [k(), *w.maybe(0.4, w.number(-1, 6))],
        "rpop": lambda: [k(), *w.maybe(0.4, w.number(-1, 6))],
        "llen": lambda: [k()], "lrange": lambda: [k(), w.number(), w.number()],
        "lindex": lambda: [k(), w.number()], "lset": lambda: [k(), w.number(-2, 2), w.value()],
        "linsert": lambda: [k(), w.rng.choice([b"BEFORE", b"after", b"near"]), w.value(), w.value()],
        "lrem": lambda: [k(), w.number(-3, 4), w.value()],
        "ltrim": lambda: [k(), w.number(-2, 3), w.number(-8, 30)],
        # Of the lowest rank of all Redis negates what cannot be negated.
        "lpos": lambda: [k(), w.value(), *w.maybe(0.3, b"RANK", w.number(-3, 4).replace(b"-9223372036854775808", b"-1")),
                         *w.maybe(0.3, b"COUNT", w.number(-1, 4)),
                         *w.maybe(0.2, b"MAXLEN", w.number(-1, 9))],
        "lmove": lambda: [k(), k(), w.end(), w.end()],
        "rpoplpush": lambda: [k(), k()],
        "lmpop": lambda: [w.rng.choice([b"2", b"2", b"2", w.number(0, 4)]), k(), k(), w.end(), *w.maybe(0.4, b"COUNT", w.number(0, 5))],
    }


def string_commands(w):
    k = lambda: w.key("s")
    unit = lambda: w.rng.choice([b"BIT", b"byte", b"BYTE", b"no"])
    # Nothing expires meanwhile: it would not do so between the same two commands in both.
    secs = lambda n: {b"1": b"1000", b"2": b"2000"}.get(n, n)
    life = lambda: w.rng.choice([[], [], [b"EX", b"1000"], [b"px", b"900000"], [b"KEEPTTL"],
                                 [b"EX", secs(w.number(-1, 3))], [b"EXAT", b"33177117420"]])
    return {
        "get": lambda: [k()], "mget": lambda: [k(), k(), k()],
        "set": lambda: [k(), w.value(), *w.maybe(0.2, w.rng.choice([b"NX", b"xx", b"GET"])), *life(),
                        *w.maybe(0.1, w.rng.choice([b"NX", b"GET", b"junk"]))],
        "setnx": lambda: [k(), w.value()], "setex": lambda: [k(), b"1000", w.value()],
        "psetex": lambda: [k(), w.rng.choice([b"1000000", b"0", b"-1", b"x"]), w.value()],
        "getset": lambda: [k(), w.value()], "getdel": lambda: [k()],
        "getex": lambda: [k(), *w.rng.choice([[], [b"PERSIST"], [b"EX", b"1000"], [b"EX", b"0"], [b"no"]])],
        "mset": lambda: [k(), w.value(), *w.maybe(0.6, k(), w.value()), *w.maybe(0.05, k())],
        "msetnx": lambda: [k(), w.value(), k(), w.value()],
        "append": lambda: [k(), w.value()], "strlen": lambda: [k()],
        "lcs": lambda: [k(), k(), *w.rng.choice([[], [b"LEN"], [b"IDX"], [b"idx", b"WITHMATCHLEN"], [b"withmatchlen"],
                                                 [b"IDX", b"MINMATCHLEN", w.number(-1, 5)], [b"LEN", b"idx"],
                                                 [b"MINMATCHLEN"], [b"no"],
                                                 [b"IDX", b"WITHMATCHLEN", b"minmatchlen", b"2"]])],
        "getrange": lambda: [k(), w.number(), w.number()],
        "setrange": lambda: [k(), w.number(-1, 40), w.value()],
        "incr": lambda: [k()], "decr": lambda: [k()],
        "incrby": lambda: [k(), w.number()], "decrby": lambda: [k(), w.number()],
        "incrbyfloat": lambda: [k(), w.rng.choice([b"1.5", b"-0.25", b"3", b"1e2", b"x", b"inf"])],
        "setbit": lambda: [k(), w.number(-1, 99), w.rng.choice([b"0", b"1", b"1", b"2"])],
        "getbit": lambda: [k(), w.number(-1, 99)],
        "bitcount": lambda: [k(), *w.maybe(0.6, w.number(), w.number(), *w.maybe(0.5, unit()))],
        "bitpos": lambda: [k(), w.rng.choice([b"0", b"1", b"1", b"2"]),
                           *w.maybe(0.6, w.number(), *w.maybe(0.6, w.number(), *w.maybe(0.5, unit())))],
        "bitop": lambda: [w.rng.choice([b"AND", b"or", b"XOR", b"NOT", b"no"]), k(), k(), *w.maybe(0.4, k())],
        "bitfield": lambda: [k(), *sum((field(w) for _ in range(w.rng.randrange(4))), [])],
        "bitfield_ro": lambda: [k(), b"GET", w.rng.choice([b"u8", b"i5", b"u63", b"i64", b"u64"]), w.number(0, 60)],
    }


def field(w):
    """One operation of BITFIELD."""
    where = [w.rng.choice([b"u8", b"i5", b"u1", b"i64", b"u63", b"x"]),
             w.rng.choice([b"", b"#"]) + b"%d" % w.rng.randrange(12)]
    return w.rng.choice([[b"GET", *where], [b"SET", *where, w.number()], [b"incrby", *where, w.number()],
                         [b"INCRBY", *where, b"100"],
                         [b"OVERFLOW", w.rng.choice([b"WRAP", b"sat", b"FAIL", b"WRAP", b"no"])]])


def hash_commands(w):
    k = lambda: w.key("h")
    f = lambda: w.rng.choice([b"f%d" % w.rng.randrange(6), w.value()])
    return {
        "hset": lambda: [k(), f(), w.value(), *w.maybe(0.5, f(), w.value()), *w.maybe(0.05, f())],
        "hmset": lambda: [k(), f(), w.value(), *w.maybe(0.5, f(), w.value())],
        "hsetnx": lambda: [k(), f(), w.value()], "hget": lambda: [k(), f()],
        "hmget": lambda: [k(), f(), f(), f()], "hgetall": lambda: [k()],
        "hkeys": lambda: [k()], "hvals": lambda: [k()],
        "hdel": lambda: [k(), f(), *w.maybe(0.5, f(), f())],
        "hexists": lambda: [k(), f()], "hlen": lambda: [k()], "hstrlen": lambda: [k(), f()],
        "hincrby": lambda: [k(), b"n%d" % w.rng.randrange(3), w.number()],
        "hincrbyfloat": lambda: [k(), b"n%d" % w.rng.randrange(3),
                                 w.rng.choice([b"1.5", b"-0.25", b"3", b"1e2", b"x", b"inf"])],
    }


def set_commands(w):
    k = lambda: w.key("e")
    m = lambda: [w.value() for _ in range(w.rng.choice([1, 1, 2, 5]))]
    return {
        "sadd": lambda: [k(), *m()], "srem": lambda: [k(), *m()], "smove": lambda: [k(), k(), *m()[:1]],
        "smembers": lambda: [k()], "sismember": lambda: [k(), w.value()],
        "smismember": lambda: [k(), *m()], "scard": lambda: [k()],
        "sinter": lambda: [k(), k()], "sunion": lambda: [k(), k()], "sdiff": lambda: [k(), k()],
        "sinterstore": lambda: [k(), k(), k()], "sunionstore": lambda: [k(), k(), k()],
        "sdiffstore": lambda: [k(), k(), k()],
        "sintercard": lambda: [w.rng.choice([b"2", b"2", b"2", w.number(0, 4)]), k(), k(), *w.maybe(0.4, b"LIMIT", w.number(-1, 3))],
    }


def zset_commands(w):
    k = lambda: w.key("z")
    m = lambda: b"m%d" % w.rng.randrange(12)
    score = lambda: w.rng.choice([b"%d" % w.rng.randrange(-9, 9), repr(w.rng.uniform(-5, 5)).encode(), b"inf",
                                  b"-inf", b"1e3"] + [b"x", b"nan", b""] * (w.rng.random() < 0.05))
    edge = lambda: w.rng.choice([b"(", b""]) + score()
    # No ranges by bytes: over several scores Redis leaves open what they give.
    scores = lambda: w.maybe(0.4, b"WITHSCORES")
    several = lambda: [w.rng.choice([b"2", b"2", b"2", b"2", b"0", b"3", b"x"]), k(), k()]
    weigh = lambda: [*w.maybe(0.3, b"WEIGHTS", score(), b"2"),
                     *w.maybe(0.3, b"AGGREGATE", w.rng.choice([b"SUM", b"min", b"MAX", b"no"]))]
    limit = lambda: w.maybe(0.3, b"LIMIT", w.number(-1, 4), w.number(-1, 6))
    return {
        "zadd": lambda: [k(), *w.maybe(0.3, w.rng.choice([b"NX", b"XX", b"GT", b"lt", b"CH"])),
                         *w.maybe(0.2, w.rng.choice([b"CH", b"INCR", b"GT"])), score(), m(),
                         *w.maybe(0.4, score(), m()), *w.maybe(0.03, score())],
        "zincrby": lambda: [k(), score(), m()], "zrem": lambda: [k(), m(), *w.maybe(0.3, m())],
        "zscore": lambda: [k(), m()], "zmscore": lambda: [k(), m(), m()], "zcard": lambda: [k()],
        "zrank": lambda: [k(), m()], "zrevrank": lambda: [k(), m()],
        "zcount": lambda: [k(), edge(), edge()],
        "zrandmember": lambda: [k(), *w.maybe(0.8, w.number(-3, 6), *w.maybe(0.4, w.rng.choice([b"WITHSCORES", b"no"])))],
        "zrange": lambda: [k(), *w.rng.choice([[w.number(), w.number()], [w.number(), w.number(), b"REV"],
                                               [edge(), edge(), b"BYSCORE"],
                                               [edge(), edge(), b"BYSCORE", b"REV"]]),
                           *scores(), *limit()],
        "zrevrange": lambda: [k(), w.number(), w.number(), *scores()],
        "zrangebyscore": lambda: [k(), edge(), edge(), *scores(), *limit()],
        "zrevrangebyscore": lambda: [k(), edge(), edge(), *scores(), *limit()],
        "zremrangebyrank": lambda: [k(), w.number(-3, 3), w.number(-3, 3)],
        "zremrangebyscore": lambda: [k(), edge(), edge()],
        "zpopmin": lambda: [k(), *w.maybe(0.4, w.number(-1, 4))],
        "zpopmax": lambda: [k(), *w.maybe(0.4, w.number(-1, 4))],
        "zmpop": lambda: [w.rng.choice([b"2", b"2", b"2", w.number(0, 4)]), k(), k(),
                          w.rng.choice([b"MIN", b"max", b"MAX", b"no"]), *w.maybe(0.4, b"COUNT", w.number(0, 5))],
        "zunion": lambda: [*several(), *weigh(), *scores()], "zinter": lambda: [*several(), *weigh(), *scores()],
        "zdiff": lambda: [*several(), *scores()],
        "zunionstore": lambda: [k(), *several(), *weigh()], "zinterstore": lambda: [k(), *several(), *weigh()],
        "zdiffstore": lambda: [k(), *several()],
        "zintercard": lambda: [*several(), *w.maybe(0.4, b"LIMIT", w.number(-1, 3))],
        "zrangestore": lambda: [k(), k(), *w.rng.choice([[w.number(), w.number()], [edge(), edge(), b"BYSCORE"],
                                                         [w.number(), w.number(), b"REV"]]), *limit()],
    }


def key_commands(w):
    k = lambda: w.key(w.rng.choice("lsh"))
    return {
        "del": lambda: [k(), *w.maybe(0.3, k())], "unlink": lambda: [k()],
        "exists": lambda: [k(), k()], "type": lambda: [k()], "touch": lambda: [k(), k()],
        "rename": lambda: [k(), k()], "renamenx": lambda: [k(), k()],
        "copy": lambda: [w.key(w.rng.choice("lshezx")), k(), *w.maybe(0.3, b"REPLACE"), *w.maybe(0.1, b"DB", w.rng.choice([b"0", b"16", b"x"]))],
        "move": lambda: [k(), w.rng.choice([b"1", b"1", b"0", b"16", b"x"])],
        "keys": lambda: [w.rng.choice([b"*", b"l*", b"?1", b"[ls]2", b"x"])],
        "dbsize": lambda: [], "persist": lambda: [k()],
        # Never the same time twice: GT and LT would look at how far apart the servers were asked.
        "expire": lambda: [k(), w.rng.choice([b"%d0" % w.rng.randrange(100, 90000), b"-1", b"x"]),
                           *w.maybe(0.3, w.rng.choice([b"NX", b"XX", b"GT", b"LT", b"no"]))],
        "pexpire": lambda: [k(), w.rng.choice([b"1000000", b"2000000", b"0"])],
        "expireat": lambda: [k(), w.rng.choice([b"33177117420", b"1", b"x"])],
        "pexpireat": lambda: [k(), b"33177117420000"],
        "ttl": lambda: [k()], "pttl": lambda: [k()], "expiretime": lambda: [k()],
        "pexpiretime": lambda: [k()],
    }


def inside_commands(w):
    """What keys are like inside; how safe a write is."""
    k = lambda: w.key(w.rng.choice("lshez"))
    return {
        "object": lambda: w.rng.choice([[w.rng.choice([b"ENCODING", b"encoding", b"REFCOUNT", b"IDLETIME", b"FREQ"]), k()],
                                        [w.rng.choice([b"NO", b"ENCODING", b"freq"])]]),
        "memory": lambda: w.rng.choice([[b"USAGE", k()], [b"USAGE", k(), *w.maybe(0.9, b"SAMPLES"), w.number(-1, 9)],
                                        [b"purge"], [b"NO"], [b"USAGE"]]),
        "function": lambda: w.rng.choice([[b"LIST"], [b"LIST", *w.maybe(0.5, b"WITHCODE"), *w.maybe(0.5, b"LIBRARYNAME"), b"x"],
                                          [b"FLUSH", *w.maybe(0.5, w.rng.choice([b"async", b"SYNC", b"no"]))], [b"stats"]]),
        "slowlog": lambda: w.rng.choice([[b"GET", b"0"], [b"GET", b"-2"], [b"GET", b"x"], [b"reset"], [b"LEN", b"x"], [b"no"]]),
        "latency": lambda: w.rng.choice([[b"LATEST"], [b"HISTORY", w.value()], [b"reset"], [b"RESET", b"command"], [b"no"],
                                         [b"GRAPH", b"command"], [b"graph", b"none"], [b"HISTOGRAM", b"nosuch"], [b"GRAPH"]]),
        "debug": lambda: w.rng.choice([[b"SLEEP", b"0"], [b"sleep", b"x"], [b"SET-ACTIVE-EXPIRE", b"1"], [b"OBJECT", k()],
                                       # What is kept in memory would be gone.
                                       [b"RELOAD", *w.maybe(w.memory, b"no")], [b"reload", b"no"], [b"change-repl-id"], [b"no"], [b"OBJECT"]]),
        "save": lambda: [], "pubsub": lambda: w.rng.choice([[b"SHARDCHANNELS"], [b"shardnumsub", w.value()], [b"NUMPAT"],
                                                            [b"CHANNELS", b"*"], [b"SHARDCHANNELS", b"a", b"b"], [b"no"]]),
        "spublish": lambda: [b"nobody", w.value()],
        # For so many replicas it would wait for ever.
        "wait": lambda: [w.number(-1, 1).replace(b"9223372036854775807", b"0"), w.rng.choice([b"0", b"5", b"-1", b"x", b"1.5"])],
    }


def sort_commands(w):
    """No BY with ALPHA: equals come in an order that Redis leaves open. Of a set that is not sorted too."""
    # What is sorted as text has no zero bytes: Redis compares what is before them.
    value = lambda: w.rng.choice([b"a", b"b", b"B", b"", b"10", b"9", b"-2"])
    number = lambda: w.rng.choice([b"%d" % w.rng.randrange(-9, 20), b"%d" % w.rng.randrange(6), b"2.5", b"1e2", b"-inf", b" 3",
                                   b""] + [b"x", b"nan", b"1x"] * (w.rng.random() < 0.03))
    kind = lambda: w.rng.choice("lez")
    name = lambda k, numbers: b"o%s%s%d" % (k.encode(), b"n" if numbers else b"t", w.rng.randrange(2))
    limit = lambda: w.maybe(0.4, b"LIMIT", w.number(-1, 4), w.number(-1, 6))
    gets = lambda: sum((w.maybe(0.25, b"GET", w.rng.choice([b"#", b"os*", b"oh*->f", b"oh*->", b"none", b"os*x", b"oh*"]))
                        for _ in range(3)), [])

    def fill():
        k, numbers = kind(), w.rng.random() < 0.6
        one = number if numbers else value
        some = [one() for _ in range(w.rng.randrange(1, 9))]
        key = name(k, numbers)
        if k == "z":
            return [b"ZADD", key, *sum(([b"%d" % w.rng.randrange(3), v] for v in some), [])]
        return [b"RPUSH" if k == "l" else b"SADD", key, *some]

    def side():
        # The names of keys that BY and GET make.
        v = b"%d" % w.rng.randrange(6)
        return w.rng.choice([[b"SET", b"os" + v, number()], [b"HSET", b"oh" + v, b"f", number()], [b"DEL", b"os" + v],
                             [b"SET", b"oh" + v, b"string"], [b"DEL", name(kind(), True)]])

    def sort(may_store):
        k = kind()
        numbers = w.rng.random() < 0.6
        by = w.rng.choice([[], [], [b"BY", b"os*"], [b"by", b"oh*->f"], [b"BY", b"nosort"]])
        if not numbers:
            by = w.rng.choice([[], [], [b"BY", b"nosort"]])
        if k == "e" and b"nosort" in by:
            by = []
        way = [by, w.maybe(0.5, w.rng.choice([b"ASC", b"desc", b"DESC"])), limit(), gets(),
               [b"ALPHA"] if not numbers or (not by and w.rng.random() < 0.2) else [],
               w.maybe(0.3, b"STORE", b"o%sn1" % w.rng.choice([b"l", b"s", b"z"])) if may_store else w.maybe(0.02, b"STORE", b"x"),
               w.maybe(0.02, b"no")]
        w.rng.shuffle(way)
        return [name(k, numbers), *sum(way, []), *w.maybe(0.02, w.rng.choice([b"BY", b"LIMIT", b"GET"]))]

    return {"sort": lambda: sort(True), "sort_ro": lambda: sort(False), "_fill": fill, "_side": side}


def connection_commands(w):
    def client():
        some = w.rng.choice
        way = some([b"bcast", b"", b"", b"optin", b"optout"])
        options = [way] * bool(way) + w.maybe(0.1, some([b"OPTIN", b"OPTOUT"])) + w.maybe(0.3, b"NOLOOP") + w.maybe(0.05, b"redirect", some([b"0", b"-1", b"x", b"99999999"]))
        for _ in range(some([0, 1, 2])) if way == b"bcast" or w.rng.random() < 0.05 else ():
            options += [b"PREFIX", some([b"l", b"s", b"la", b"", b"z:"])]
        return some([
            lambda: [b"TRACKING", b"on", *options], lambda: [b"tracking", b"ON", *options],
            lambda: [b"TRACKING", b"OFF"], lambda: [b"tracking", some([b"off", b"x"]), *w.maybe(0.3, b"no")],
            lambda: [b"CACHING", some([b"yes", b"NO", b"x"])], lambda: [b"GETREDIR"], lambda: [b"TRACKINGINFO"],
            lambda: [b"REPLY", some([b"on", b"ON", b"x"])], lambda: [b"PAUSE", some([b"-1", b"x", b"1.5"]), *w.maybe(
                0.5, some([b"write", b"ALL", b"x"]))], lambda: [b"UNPAUSE"], lambda: [b"getname"],
            lambda: [b"SETNAME", some([b"", b"a", b"a b"])]])()

    return {
        "client": client,
        "ping": lambda: w.maybe(0.5, w.value()), "echo": lambda: [w.value()],
        "select": lambda: [w.rng.choice([b"0", b"0", b"0", b"1", b"16", b"x"])],
        "multi": lambda: [], "exec": lambda: [], "discard": lambda: [], "unwatch": lambda: [],
        "watch": lambda: [w.key(w.rng.choice("lshezx")), *w.maybe(0.3, w.key("l"))],
        "publish": lambda: [b"nobody", w.value()],
        "role": lambda: [], "replicaof": lambda: [b"NO", b"one"], "slaveof": lambda: [b"no", b"ONE"],
    }
