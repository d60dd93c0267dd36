# SPDX-License-Identifier: Apache-2.0
"""For differ.py: which command comes next. Any by chance, or one of those that have succeeded too seldom so far: of these
many as a form, which is a command that will most likely succeed behind those that open the way for it."""
import hashlib
import heapq

# In how many of a hundred cases one that lags behind is chosen, while there is one; and how many of a hundred of those
# come in their form, if they have one.
LAGGING, FORM = 35, 75
# By how much more than wanted is aimed at, and among how many of those behind is chosen.
MARGIN, FEW = 1.5, 32


def words(name, rng):
    return [(word.upper() if rng.random() < 0.3 else word).encode() for word in name.split("|")]


def command(rng, table, names):
    name = rng.choice(names)
    args = table[name]()
    if name[0] == "_":  # what prepares others says itself what it is
        return args
    if rng.random() < 0.01:
        # SPOP without a number draws, SHUTDOWN ends, and of the others see Steps.saves.
        fewer = name == "hello" or name not in ("spop", "shutdown", "bgsave", "bgrewriteaof") and rng.random() < 0.5
        args = args[:-1] if fewer else args + [b"extra"]
    return words(name, rng) + args


class Choice:
    """What to send next. `good` is how often each has succeeded, `wanted` how often those that count should at the end;
    `elsewhere` are those that others see to."""

    def __init__(self, rng, table, names, forms, counting, elsewhere, good, wanted):
        self.rng, self.table, self.names, self.forms = rng, table, names, forms
        self.counting, self.elsewhere, self.good, self.wanted = sorted(counting), elsewhere, good, wanted
        self.behind, self.here = [], []

    def look(self, share):
        """Who lags behind when this share of the run is done."""
        least = MARGIN * self.wanted * share
        self.behind = [name for name in heapq.nsmallest(FEW, self.counting, key=lambda name: self.good[name])
                       if self.good[name] < least]
        self.here = [name for name in self.behind if name not in self.elsewhere]

    def lags(self, names):
        return any(name in self.behind for name in names)

    def next(self):
        """Commands that go together."""
        rng = self.rng
        if self.here and rng.random() * 100 < LAGGING:
            name = rng.choice(self.here)
            if name in self.forms and (name not in self.table or rng.random() * 100 < FORM):
                return self.forms[name]()
            return [command(rng, self.table, [name])]
        return [command(rng, self.table, self.names)]


# What may stand in a transaction that is to be carried out.
PLAIN = """lpush rpush lrange llen set get append strlen hset hget hlen sadd scard sismember zadd zscore zcard xadd xlen exists type
           incr lpop zincrby hincrby ping echo expire persist""".split()


def forms(w, table):
    """Names to what ends with a command of this name."""
    rng, c = w.rng, w.rng.choice
    out = {}

    def form(name, *args, before=(), after=()):
        """Arguments, and what comes before and after, are what they are or what makes them."""
        def make(x):
            return x() if callable(x) else x

        def made():
            last = words(name, rng) + [make(x) for x in args]
            if rng.random() < 0.01:
                last.append(b"extra")
            return [*(make(x) for x in before), last, *(make(x) for x in after)]
        out[name] = made

    key = lambda kind: lambda: w.key(kind)
    any_key = lambda: w.key(c("lshez"))
    user = lambda: c([b"u1", b"u2"])

    # Users.
    # No rules about single commands: Redis 7.0 may show others of the same effect (`rules` in the list of docs/RESP.md).
    form("acl|dryrun", b"u1", b"get", b"a1", before=[lambda: [b"ACL", b"SETUSER", b"u1", c([b"+@all", b"-@all"]), b"~a*"]])
    form("acl|deluser", user, before=[lambda: [b"ACL", b"SETUSER", user()]])
    form("auth", b"default", w.value)
    form("hello", lambda: c([b"2", b"3"]))
    # Connections.
    off = [b"CLIENT", b"TRACKING", b"OFF"]
    form("client|tracking", b"on", before=[off], after=[off])
    form("client|caching", lambda: b"yes", before=[off, [b"CLIENT", b"TRACKING", b"ON", b"OPTIN"]], after=[lambda: [b"GET", w.key("s")], off])
    form("client|reply", lambda: c([b"on", b"ON"]))
    for name in ("getredir", "trackinginfo", "unpause"):
        form("client|" + name)
    # For no time or hardly any: who comes meanwhile waits for so long.
    form("client|pause", lambda: c([b"0", b"1"]), lambda: c([b"WRITE", b"all"]), after=[[b"CLIENT", b"UNPAUSE"]])
    form("select", b"0")
    # What the server tells, and what it is like inside.
    form("command")
    for name in ("function|flush", "function|stats", "function|list", "latency|latest", "latency|reset", "memory|purge", "slowlog|reset",
                 "pubsub|shardchannels", "pubsub|numpat"):
        form(name)
    form("latency|history", b"command")
    form("pubsub|shardnumsub", b"c1")
    form("memory|usage", any_key, lambda: b"SAMPLES", lambda: b"%d" % rng.randrange(9))
    form("debug", lambda: c([b"OBJECT", b"object"]), any_key)
    for name in ("object|encoding", "object|idletime", "object|refcount"):
        form(name, b"l1", before=[lambda: [b"RPUSH", b"l1", w.value()]])
    form("object|freq", b"absent")  # of a key that is there it is refused: `access` in the list of docs/RESP.md
    # All or most goes: what comes then finds something again.
    some = [lambda: [b"MSET", b"s0", w.value(), b"s1", w.value(), b"s2", b"5", b"s3", b"7"],
            *(lambda n=n: [b"RPUSH", b"l%d" % n, w.value(), w.value(), w.value()] for n in range(4)),
            *(lambda n=n: [b"HSET", b"h%d" % n, b"f0", w.value(), b"f1", w.value(), b"n1", b"3"] for n in range(4))]
    form("flushall", lambda: c([b"ASYNC", b"sync"]), after=some)
    form("flushdb", lambda: c([b"async", b"SYNC"]), before=[[b"SELECT", b"1"]], after=[[b"SELECT", b"0"]])
    # Transactions.
    plain = [name for name in PLAIN if name in table]
    inside = lambda: command(rng, table, plain) if plain else [b"PING"]
    between = lambda: [inside() for _ in range(rng.randrange(4))]
    out["multi"] = lambda: [words("multi", rng), *between(), [b"EXEC"]]
    out["exec"] = lambda: [*([[b"WATCH", any_key()]] if rng.random() < 0.3 else []), [b"MULTI"], *between(), words("exec", rng)]
    out["discard"] = lambda: [[b"MULTI"], *between(), words("discard", rng)]
    out["watch"] = lambda: [words("watch", rng) + [any_key()], *([[b"MULTI"], *between(), [b"EXEC"]] if rng.random() < 0.5 else [])]
    # Numbers, times and places that are there.
    for name, args in (("incr", []), ("decr", []), ("incrby", [b"7"]), ("decrby", [b"-3"]), ("incrbyfloat", [b"0.25"])):
        form(name, b"s2", *args, before=[lambda: [b"SET", b"s2", b"%d" % rng.randrange(-99, 99)]])
    form("hincrbyfloat", b"h1", b"n4", b"1.5")
    form("psetex", key("s"), b"1000000", w.value)
    form("lset", b"l1", lambda: c([b"0", b"-1"]), w.value, before=[lambda: [b"RPUSH", b"l1", w.value()]])
    form("linsert", key("l"), lambda: c([b"BEFORE", b"after"]), w.value, w.value)
    form("move", b"s1", b"1", before=[[b"SELECT", b"0"]])
    form("rename", b"s1", key("s"), before=[lambda: [b"SET", b"s1", w.value()]])
    form("renamenx", b"s1", key("s"), before=[lambda: [b"SET", b"s1", w.value()]])
    form("wait", b"0", b"0")
    out.update(of_streams(w, table))
    out.update(of_scripts(w, table))
    return out


def of_streams(w, table):
    """Of a stream with a group and entries that were read, all by the same names."""
    if "xadd" not in table:
        return {}
    rng = w.rng

    def ready():
        key, group = w.key("x"), b"g%d" % rng.randrange(3)
        return key, group, [[b"XGROUP", b"CREATE", key, group, b"0", b"MKSTREAM"],
                            [b"XADD", key, *table["_add0"]()[2:]],
                            [b"XREADGROUP", b"GROUP", group, b"c%d" % rng.randrange(3), b"STREAMS", key, b">"]]

    def of_group(name):
        def made():
            key, group, before = ready()
            return [*before, words(name, rng) + [key, group] + table[name]()[2:]]
        return made

    def told(name, of_one):
        def made():
            key, group, before = ready()
            return [*before, words(name, rng) + [key] + [group] * of_one]
        return made

    return {**{name: of_group(name) for name in ("xclaim", "xautoclaim", "xpending", "xack", "xgroup|setid", "xgroup|createconsumer",
                                                 "xgroup|delconsumer", "xgroup|destroy")},
            "xgroup|create": lambda: ready()[2][:1], "xreadgroup": lambda: ready()[2],
            "xinfo|stream": told("xinfo|stream", 0), "xinfo|groups": told("xinfo|groups", 0), "xinfo|consumers": told("xinfo|consumers", 1)}


def of_scripts(w, table):
    """Scripts that do no more than read, and give what they were given."""
    if "eval" not in table:
        return {}
    rng = w.rng
    texts = [b"return redis.call('get',KEYS[1])", b"return {KEYS[1],ARGV[1],#ARGV}", b"return redis.call('exists',KEYS[1])",
             b"return tostring(redis.call('ttl',KEYS[1]) < 0)", b"return redis.pcall('lrange',KEYS[1],0,-1)"]

    def known(name):
        def made():
            # One that is known for long is forgotten here: it is loaded again (`lua` in the list of docs/RESP.md).
            text = rng.choice(texts) + b" --%d" % rng.randrange(9)
            sha = hashlib.sha1(text).hexdigest().encode()
            return [[b"SCRIPT", b"LOAD", text], words(name, rng) + [sha, b"1", w.key("s"), w.value()]]
        return made

    def said(name):
        return lambda: [words(name, rng) + [rng.choice(texts), b"1", w.key("s"), w.value()]]

    return {"evalsha": known("evalsha"), "evalsha_ro": known("evalsha_ro"), "eval": said("eval"), "eval_ro": said("eval_ro"),
            "script|load": lambda: [[b"SCRIPT", b"LOAD", rng.choice(texts)]],
            "script|exists": lambda: [words("script|exists", rng) + [b"x" * 40]]}
