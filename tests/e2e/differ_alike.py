# SPDX-License-Identifier: Apache-2.0
"""Which replies pass for alike in differ.py though their bytes differ: rules by command, each with the entries of the
list in docs/RESP.md that it is for (differences.py). All others are compared byte for byte."""
import re

import differ_stream


def end_of(raw, pos):
    """Where the value that begins at pos ends."""
    end = raw.index(b"\r\n", pos) + 2
    kind, head = raw[pos:pos + 1], raw[pos + 1:end - 2]
    if kind in b"$=" and head != b"-1":
        return end + int(head) + 2
    count = int(head) * (2 if kind == b"%" else 1) if kind in b"*~>%" and head != b"-1" else 0
    for _ in range(count):
        end = end_of(raw, end)
    return end


def elements(raw):
    """The values in an array, a set or a map, as they came; None: it is none of them."""
    if raw[:1] not in b"*~>%" or raw[:3] == b"*-1":
        return None
    pos, out = raw.index(b"\r\n") + 2, []
    while pos < len(raw):
        end = end_of(raw, pos)
        out.append(raw[pos:end])
        pos = end
    return out


def head(raw):
    return raw[:raw.index(b"\r\n")]


def both(a, b):
    """Whether they are arrays of one kind and length, which can be looked into."""
    return elements(a) is not None and head(a) == head(b)


def in_any_order(a, b):
    return both(a, b) and sorted(elements(a)) == sorted(elements(b))


def pairs(raw):
    parts = elements(raw)
    return sorted(zip(parts[::2], parts[1::2]))


def pairs_in_any_order(a, b):
    return both(a, b) and pairs(a) == pairs(b)


def all_at_once(alike):
    """What a scan gives that begins and ends at 0."""
    def rule(a, b):
        if not both(a, b):
            return False
        (at, found), (other, others) = elements(a), elements(b)
        return at == other == b"$1\r\n0\r\n" and alike(found, others)
    return rule


def near(a, b):
    """Times left: both servers are asked a moment apart."""
    if a[:1] != b":" or b[:1] != b":":
        return False
    x, y = int(a[1:]), int(b[1:])
    return min(x, y) >= 0 and abs(x - y) <= 5000


def numbers(a, b):
    return a[:1] == b[:1] == b":"


def as_many(a, b):
    """As many of them, or one."""
    return both(a, b) or a[:1] == b[:1] == b"$" and b"$-1\r\n" not in (a, b)


def as_long(a, b):
    return a[:1] == b[:1] == b"$" and head(a) == head(b)


def texts(a, b):
    """Texts that each server words for itself."""
    return a[:1] == b[:1] and a[:1] in b"$=" and b"$-1\r\n" not in (a, b)


def encodings(a, b):
    """How Redis keeps a value depends on how it came there too: what is short may be kept as if it were long."""
    kinds = [a.split(b"\r\n")[-2:-1], b.split(b"\r\n")[-2:-1]]
    for longer in ([b"int", b"embstr", b"raw"], [b"intset", b"hashtable"], [b"listpack", b"hashtable"],
                   [b"listpack", b"skiplist"]):
        if all(kind and kind[0] in longer for kind in kinds):
            return longer.index(kinds[0][0]) <= longer.index(kinds[1][0])
    return False


def described(a, b):
    """DEBUG OBJECT tells addresses and times."""
    return a[:10] == b[:10] == b"+Value at:"


def helped(a, b):
    """The same container, in each one's words."""
    first = [(elements(x) or [b"-"])[0].split(b" ")[0] for x in (a, b)]
    return first[0] == first[1] and first[0][:1] == b"+"


def histograms(a, b):
    """How long calls took is of each server's own, and so is which were called."""
    return elements(a) is not None and elements(b) is not None


def introduced(a, b):
    """HELLO: but for the connection's number."""
    mask = lambda raw: re.sub(rb"(\$2\r\nid\r\n):\d+", rb"\1:n", raw)
    return mask(a) == mask(b)


def clients(a, b):
    """Lines of CLIENT LIST: the same fields, but for those of later versions."""
    names = [re.findall(rb" ([a-z-]+)=", raw.split(b"\n")[1]) for raw in (a, b)]
    return texts(a, b) and [name for name in names[0] if name not in (b"lib-name", b"lib-ver")] == names[1]


def client(a, b):
    """The line of who asks: what does not depend on the machine. In EXEC Redis shows a transaction that is still open."""
    bare = lambda raw: re.sub(rb" flags=x", b" flags=", raw)
    shown = [re.findall(rb" ((?:name|flags|db|sub|psub|ssub|cmd|user|redir|resp)=[^ \n\r]*)", bare(raw)) for raw in (a, b)]
    return clients(a, b) and shown[0] == shown[1]


def refusals(a, b):
    """As many lines of ACL LOG, whoever and whenever it was."""
    rows = [elements(raw) for raw in (a, b)]
    if None in rows or len(rows[0]) != len(rows[1]):
        return False
    return all(elements(x)[:8] == elements(y)[:8] for x, y in zip(*rows))


def told(a, b):
    """INFO: as many keys in each database."""
    keys = lambda raw: re.findall(rb"\ndb\d+:keys=\d+", raw)
    return texts(a, b) and (keys(a) == keys(b))


def settings(a, b):
    """CONFIG SET: what is wrong with a value is worded by each."""
    told_of = rb"-ERR CONFIG SET failed \(possibly related to argument '[^']*'\) - "
    return bool(re.match(told_of, a)) and re.match(told_of, a)[0] == (re.match(told_of, b) or [None])[0]


def snapshots(a, b):
    """Redis writes files, one at a time; here there is nothing to write, or no such file."""
    theirs = (b"+OK", b"+Background saving started", b"+Background saving scheduled", b"+Background append only file rewriting",
              b"-ERR Background save already in progress", b"-ERR Background append only file rewriting already in progress",
              b"-ERR Another child process is active", b"-ERR Can't")
    ours = (b"+OK", b"+Background saving started", b"-ERR There is no append only file", b"+Background saving scheduled")
    return a.startswith(ours) and b.startswith(theirs)


class Known:
    """Names of commands: of those that both servers have the same must come."""

    def __init__(self):
        self.names = set()

    def listed(self, a, b):
        if elements(a) is None or elements(b) is None:
            return False
        mine, theirs = ({x.split(b"\r\n")[1] for x in elements(raw)} & self.names for raw in (a, b))
        return mine == theirs

    def described(self, a, b):
        """COMMAND INFO: names, arities and where keys are. COMMAND DOCS: names and since when."""
        if not both(a, b) and (elements(a) is None or elements(b) is None):
            return False
        return self.rows(a) == self.rows(b)

    def rows(self, raw):
        parts, out = elements(raw), {}
        if parts and elements(parts[0]) is None and parts[0][:3] not in (b"$-1", b"_\r\n", b"*-1"):
            for name, row in zip(parts[::2], parts[1::2]):
                cells = elements(row)
                out[name] = cells[cells.index(b"$5\r\nsince\r\n") + 1]
        else:
            for n, row in enumerate(parts):
                cells = elements(row)
                key = (n if len(parts) < 50 else 0, cells and cells[0])
                out[key] = cells and [cells[1], *cells[3:6]]
        return {k: v for k, v in out.items() if (k[1] if isinstance(k, tuple) else k) is None or
                (k[1] if isinstance(k, tuple) else k).split(b"\r\n")[1] in self.names}


KNOWN = Known()
RULES = {
    **{name: (("order",), in_any_order) for name in "keys smembers sinter sunion sdiff hkeys hvals spop".split()},
    "hgetall": (("order",), pairs_in_any_order), "config|get": (("order",), pairs_in_any_order),
    "scan": (("order",), all_at_once(in_any_order)), "sscan": (("order",), all_at_once(in_any_order)),
    "hscan": (("order",), all_at_once(pairs_in_any_order)), "zscan": (("order",), all_at_once(pairs_in_any_order)),
    **{name: (("draw",), as_many) for name in "randomkey srandmember hrandfield zrandmember".split()},
    "acl|genpass": (("draw",), as_long),
    **{name: (("clock",), near) for name in "ttl pttl expiretime pexpiretime".split()},
    "time": (("clock",), both), "lastsave": (("clock",), numbers),
    "xpending": (("clock",), differ_stream.rows_alike), "xinfo": (("clock", "figures"), differ_stream.info_alike),
    "client|id": (("identity",), numbers), "hello": (("identity",), introduced),
    "client|info": (("identity",), client), "client|list": (("identity",), clients),
    "acl|log": (("identity", "clock"), refusals),
    "info": (("figures",), told), "memory|usage": (("figures",), numbers), "latency|histogram": (("figures",), histograms),
    "memory|stats": (("figures",), histograms),
    **{name: (("figures",), texts) for name in "memory|doctor memory|malloc-stats latency|doctor latency|graph".split()},
    "object|encoding": (("encoding",), encodings), "debug": (("encoding",), described),
    "object|idletime": (("access",), numbers), "object|refcount": (("access",), numbers),
    "save": (("snapshot",), snapshots), "bgsave": (("snapshot",), snapshots), "bgrewriteaof": (("snapshot",), snapshots),
    "config|set": (("settings",), settings),
    "command|count": (("commands",), numbers), "command|list": (("commands",), KNOWN.listed), "acl|cat": (("commands",), KNOWN.listed),
    # Not as COMMAND itself, for which a subcommand without a rule would pass.
    "command|getkeys": ((), None), "command|getkeysandflags": ((), None), "command": (("commands",), KNOWN.described),
    "command|info": (("commands",), KNOWN.described), "command|docs": (("commands",), KNOWN.described),
}
HELP = (("help",), helped)
ZERO = ("zero",)


def zeros(reply):
    """Redis forgets the sign of a score of 0 in small sorted sets alone."""
    return reply.replace(b"$2\r\n-0\r\n", b"$1\r\n0\r\n").replace(b",-0\r\n", b",0\r\n")


def named():
    """The entries of the list that rules are for."""
    return {name for names, _ in [*RULES.values(), HELP] for name in names} | set(ZERO)


def why_alike(full, a, b):
    """The entries by which two replies to the command of this full name pass; (): they are the same; None: they differ."""
    if a == b:
        return ()
    names, rule = RULES.get(full) or RULES.get(full.split("|")[0]) or ((), None)
    if full.endswith("|help"):
        names, rule = HELP
    if rule is not None and rule(a, b):
        return names
    # Sorted sets, and what has them in it: EXEC and EVAL.
    return ZERO if full.startswith(("z", "bz", "e")) and zeros(a) == zeros(b) else None
