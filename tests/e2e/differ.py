#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The same random commands to oxbowd and to a real redis-server; replies are compared byte for byte.

    differ.py OXBOWD [--commands N] [--seed S] [--families list,string,...] [--memory]

Valid and invalid arguments, both versions of the protocol, transactions, clients that wait, listen, look on
and leave. Each command and subcommand that both servers have must have succeeded often enough (--least), or the
test looks at refusals alone. What may differ is the numbered list in docs/RESP.md and nothing else (differences.py):
what is compared less strictly for it stands in differ_alike.py. The first difference ends the run, with the
seed and the commands that led there.
"""
import argparse
import collections
import itertools
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import differ_alike
import differ_commands as commands
import differ_rest
import differ_script
import differ_stream
import differences
from differ_commands import Words

PIPELINE = 40
HISTORY = 100
PATIENCE = 60


class Server:
    """A process of one's own on a Unix socket, in a fresh directory."""

    def __init__(self, name, command, where):
        self.name = name
        self.path = os.path.join(where, name + ".sock")
        self.log = open(os.path.join(where, name + ".log"), "wb")
        self.process = subprocess.Popen(command(self.path, os.path.join(where, name)), cwd=where,
                                        stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        for _ in range(1200):
            if self.process.poll() is not None:
                sys.exit(f"differ: {name} ended at once: see {self.log.name}")
            try:
                Client(self).close()
                return
            except OSError:
                time.sleep(0.05)
        sys.exit(f"differ: {name} does not answer")

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE)
        self.log.close()


class Client:
    def __init__(self, server):
        self.server = server
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(server.path)
        self.data = b""

    def close(self):
        self.sock.close()

    def send(self, commands):
        self.sock.sendall(b"".join(encode(c) for c in commands))

    def _more(self):
        part = self.sock.recv(1 << 16)
        if not part:
            raise EOFError(f"{self.server.name} closed the connection")
        self.data += part

    def _line(self, pos):
        while True:
            end = self.data.find(b"\r\n", pos)
            if end >= 0:
                return end + 2
            self._more()

    def reply(self):
        """The next reply, as it came, without what CLIENT TRACKING tells in between: when a key expires is each
        server's own."""
        while True:
            got = self._next()
            if not got.startswith(b">2\r\n$10\r\ninvalidate\r\n"):
                return got

    def _next(self):
        pos, left = 0, 1
        while left > 0:
            end = self._line(pos)
            kind, head = self.data[pos:pos + 1], self.data[pos + 1:end - 2]
            left -= 1
            if kind in b"$=" and head != b"-1":
                end += int(head) + 2
                while len(self.data) < end:
                    self._more()
            elif kind in b"*~>" and head != b"-1":
                left += int(head)
            elif kind == b"%":
                left += 2 * int(head)
            pos = end
        out, self.data = self.data[:pos], self.data[pos:]
        return out

    def waiting(self, seconds):
        """What comes within a time: a reply or nothing."""
        if not self.data:
            self.sock.settimeout(seconds)
            try:
                self._more()
            except socket.timeout:
                return None
            finally:
                self.sock.settimeout(PATIENCE)
        return self.reply()


def encode(command):
    out = [b"*%d\r\n" % len(command)]
    for arg in command:
        out.append(b"$%d\r\n%s\r\n" % (len(arg), arg))
    return b"".join(out)


def text(command):
    return " ".join(repr(a)[2:-1] if len(a) < 60 else f"<{len(a)} bytes>" for a in command)


FAMILIES = {"list": commands.list_commands, "string": commands.string_commands, "hash": commands.hash_commands,
            "set": commands.set_commands, "zset": commands.zset_commands, "stream": differ_stream.commands,
            "key": commands.key_commands, "inside": commands.inside_commands, "sort": commands.sort_commands,
            "connection": commands.connection_commands, "script": differ_script.script_commands,
            "some": differ_rest.some_commands, "waiting": differ_rest.waiting_commands, "server": differ_rest.server_commands}
# Commands whose successes cannot be many: what only opens the way for others, what is refused to servers without a
# file or a script that runs too long or to who is not tracked so, what ends a connection or the server, and what would leave nothing to see.
SELDOM = set("""exec discard multi watch unwatch select hello reset config|rewrite acl|save acl|load object|freq latency|graph
             script|kill client|pause client|caching bgrewriteaof quit monitor shutdown flushall flushdb""".split())
# The rarer ones.
SUBCOMMANDS = 5
# Refused here within MULTI.
ALONE = {"config|set", "client|unblock"}


def command(rng, table, names):
    name = rng.choice(names)
    args = table[name]()
    if name[0] == "_":  # what prepares others says itself what it is
        return args
    if rng.random() < 0.01:
        # SPOP without a number draws, SHUTDOWN ends, and of the others see Differ.saves.
        fewer = name == "hello" or name not in ("spop", "shutdown", "bgsave", "bgrewriteaof") and rng.random() < 0.5
        args = args[:-1] if fewer else args + [b"extra"]
    return [(word.upper() if rng.random() < 0.3 else word).encode() for word in name.split("|")] + args


def is_open(c):
    """Whether Redis leaves the order of the reply open: a set that is sorted by what is the same for all."""
    words = [w.upper() for w in c]
    return words[0] in (b"SORT", b"SORT_RO") and c[1:2] and c[1].startswith(b"oe") and \
        any(w == b"BY" and b"*" not in by for w, by in zip(words[2:], words[3:]))


def calm(seen):
    """What a message gives of several patterns comes in an order that Redis leaves open."""
    out = []
    for of_patterns, run in itertools.groupby(seen, key=lambda line: b"pmessage" in line[:16]):
        out += sorted(run) if of_patterns else run
    return out


def blocked(client, who, history):
    """Waits until the server has this client wait."""
    end = time.monotonic() + PATIENCE
    while True:
        client.send([[b"CLIENT", b"LIST", b"ID", who]])
        if re.search(rb" flags=[A-Za-z]*b", client.reply()):
            return
        if time.monotonic() > end:
            sys.exit("\n    ".join(["differ: what came before:", *history]) +
                     f"\ndiffer: {client.server.name} does not have client {who} wait")


class Differ:
    def __init__(self, servers, rng, names, table, known, memory):
        self.servers = servers
        self.pair = [Client(s) for s in servers]
        self.rng, self.names, self.table, self.known, self.memory = rng, names, table, known, memory
        self.history = collections.deque(maxlen=HISTORY)
        self.good = collections.Counter()
        self.all = collections.Counter()
        self.met = collections.Counter()  # how often each entry of the list let something pass
        self.queued = []

    def differs(self, sent, a, b):
        print("differ: replies differ; what came before:")
        for line in self.history:
            print("   ", line)
        sys.exit(f"differ: {text(sent)}\n  {sent!r}\n  oxbowd       {a!r}\n  redis-server {b!r}")

    def full(self, c):
        """The name with the subcommand's: "config|get"."""
        words = [word.decode("latin1").lower() for word in c[:2]]
        return "|".join(words) if "|".join(words) in self.known else words[0]

    def same(self, c, full, a, b):
        why = differ_alike.why_alike(full, a, b)
        if why is None:
            self.differs(c, a, b)
        self.met.update(why)

    def compare(self, c, a, b):
        """A reply to what the two were sent; of EXEC each of its replies by itself."""
        full = self.full(c)
        if full == "multi" and a == b"+OK\r\n":
            self.queued = []
        if a == b"+QUEUED\r\n":
            self.queued.append(c)
        ours, theirs = (differ_alike.elements(x) if full == "exec" else None for x in (a, b))
        if ours and theirs and len(ours) == len(theirs) == len(self.queued):
            for sent, x, y in zip(self.queued, ours, theirs):
                self.same([b"(EXEC)", *sent], self.full(sent), x, y)
        else:
            self.same(c, full, a, b)
        self.all[full] += 1
        self.good[full] += a[:1] != b"-" and a != b"+QUEUED\r\n"

    def left_out(self, c, full, queueing):
        if is_open(c):
            return True
        reload = [word.upper() for word in c] == [b"DEBUG", b"RELOAD"]
        return reload and self.memory or queueing and (full in ALONE or reload)

    def round(self):
        batch = [command(self.rng, self.table, self.names) for _ in range(PIPELINE)]
        if self.rng.random() < 0.03:
            batch.append([b"HELLO", self.rng.choice([b"2", b"3"])])
        if self.rng.random() < 0.02:
            batch.append([b"FLUSHALL"])
        out, queueing = [], False
        for c in batch:
            full = self.full(c)
            if self.left_out(c, full, queueing):
                continue
            if full in ("sort", "sort_ro"):
                # Redis takes an errno that some number left behind for one of SORT's own. This clears it.
                out.append([b"ZADD", b"none", b"XX", b"1", b"m"])
            if full == "debug" and c[1:2] and c[1].upper() == b"RELOAD":
                out.append([b"UNWATCH"])  # what is watched and there has changed for Redis then
            if len(c) == 1:  # with an argument it is refused, and changes nothing
                queueing = {"multi": True, "exec": False, "discard": False, "reset": False}.get(full, queueing)
            out.append(c)
        out += [[b"DISCARD"]] if queueing else []
        self.both(out)

    def both(self, sent):
        for client in self.pair:
            client.send(sent)
        for c in sent:
            a, b = (client.reply() for client in self.pair)
            self.history.append(f"{text(c)} -> {a[:100]!r}")
            self.compare(c, a, b)

    def waiting(self, kind, keys, i):
        """What one of those who wait sends."""
        rng = self.rng
        some = rng.sample(keys, rng.randrange(1, 4))
        if kind == "zset":
            return rng.choice([[b"BZPOPMIN", *some, b"0"], [b"BZPOPMAX", *some, b"0"],
                               [b"BZMPOP", b"0", b"%d" % len(some), *some, b"MAX", b"COUNT", b"2"]])
        if kind == "stream":
            return rng.choice([[b"XREAD", b"BLOCK", b"0", b"STREAMS", *some, *[b"$"] * len(some)],
                               [b"XREADGROUP", b"GROUP", b"g", b"c%d" % i, b"BLOCK", b"0", b"STREAMS", some[0], b">"]])
        return rng.choice([[b"BLPOP", *some, b"0"], [b"BRPOP", *some, b"0"],
                           [b"BLMOVE", some[0], rng.choice(keys), b"LEFT", b"RIGHT", b"0"],
                           [b"BRPOPLPUSH", some[0], some[-1], b"0"],
                           [b"BLMPOP", b"0", b"%d" % len(some), *some, b"LEFT", b"COUNT", b"2"]])

    def pushing(self, kind, keys, n):
        """What those who wait wait for."""
        rng = self.rng
        if kind == "stream":
            return [b"XADD", rng.choice(keys), b"%d-1" % (n + 1), b"f", b"e%d" % rng.randrange(9)]
        elements = [b"e%d" % rng.randrange(9) for _ in range(rng.randrange(1, 4))]
        if kind == "zset":
            return [b"ZADD", rng.choice(keys), *sum(([b"%d" % rng.randrange(9), e] for e in elements), [])]
        return [rng.choice([b"RPUSH", b"LPUSH"]), rng.choice(keys), *elements]

    def waits(self):
        """Three clients wait, in this order; then pushes. Who is given what must be the same."""
        rng = self.rng
        kind = rng.choice(["list", "list", "zset", "stream"])
        groups = [[Client(s) for _ in range(3)] for s in self.servers]
        keys = [b"b%d" % i for i in range(3)]
        self.both([[b"SELECT", b"9"], [b"FLUSHDB"]])
        if kind == "stream":
            self.both([[b"XGROUP", b"CREATE", key, b"g", b"$", b"MKSTREAM"] for key in keys])
        waiters = [self.waiting(kind, keys, i) for i in range(3)]
        for i, sent in enumerate(waiters):
            self.history.append(f"client {i + 1}: {text(sent)}")
            for c, g in zip(self.pair, groups):
                g[i].send([[b"CLIENT", b"ID"], [b"SELECT", b"9"], sent])
                who = g[i].reply()[1:-2]
                g[i].reply()
                blocked(c, who, self.history)
        for n in range(3):
            sent = self.pushing(kind, keys, 2 * n)
            if rng.random() < 0.3:
                self.both([[b"MULTI"], sent, self.pushing(kind, keys, 2 * n + 1), [b"EXEC"]])
            else:
                self.both([sent])
            self.both([[b"EXISTS", sent[1]]])
        self.both([[b"PING"]])  # who is given something has been sent it before this is answered
        for i, sent in enumerate(waiters):
            b = groups[1][i].waiting(0.02)
            a = groups[0][i].waiting(0.02 if b is None else PATIENCE)
            if a != b:
                self.differs([b"(what client %d was given)" % (i + 1), *sent], a, b)
            self.all[self.full(sent)] += 1
            self.good[self.full(sent)] += a is not None
        for g in groups:
            for c in g:
                c.close()
        self.both([[b"SELECT", b"0"]])

    def heard(self, clients, mark):
        """All that comes before what says so, of each."""
        out = []
        for client in clients:
            seen = []
            while not seen or mark not in seen[-1]:
                seen.append(client.reply())
            out.append(seen)
        return out

    def listens(self):
        """One subscribes and is sent messages."""
        rng = self.rng
        clients = [Client(s) for s in self.servers]
        if rng.random() < 0.5:
            for c in clients:
                c.send([[b"HELLO", b"3"]])
                c.reply()
        for n in range(12):
            channels = [rng.choice([b"c1", b"c2", b"c3"]) for _ in range(rng.choice([0, 1, 1, 2]))]
            sent = rng.choice([[b"SUBSCRIBE", *channels], [b"PSUBSCRIBE", *[rng.choice([b"c*", c]) for c in channels]],
                               [b"SSUBSCRIBE", *channels], [b"UNSUBSCRIBE", *channels], [b"PUNSUBSCRIBE", *channels],
                               [b"SUNSUBSCRIBE", *channels], [b"GET", b"s1"], [b"RESET"]])
            self.both([[rng.choice([b"PUBLISH", b"SPUBLISH"]), rng.choice([b"c1", b"c2"]), b"m"],
                       [b"PUBSUB", rng.choice([b"NUMSUB", b"SHARDNUMSUB"]), b"c1", b"c2"], [b"PUBSUB", b"NUMPAT"]])
            self.history.append(f"the listener: {text(sent)}")
            mark = b"mark%d" % n
            for c in clients:
                c.send([sent, [b"PING", mark]])
            a, b = (calm(seen) for seen in self.heard(clients, mark))
            if len(sent) == 1 and b"UNSUB" in sent[0]:  # in an order that Redis leaves open
                a, b = (sorted(re.sub(rb":\d+", b":n", line) for line in x) for x in (a, b))
                self.met.update(["order"])
            if a != b:
                self.differs([b"(what the listener was told)", *sent], a, b)
            self.all[self.full(sent)] += 1
            self.good[self.full(sent)] += a[-2:-1] != [] and a[-2][:1] != b"-"
        self.left(clients)

    def looks_on(self):
        """One sees what others do (MONITOR): but for the time and the address."""
        clients = [Client(s) for s in self.servers]
        for c in clients:
            c.send([[b"MONITOR"]])
        started = [c.reply() for c in clients]
        simple = [name for name in self.names if name in ("get", "set", "lpush", "hset", "zadd", "sadd", "xlen", "mget", "nosuch")]
        self.both([command(self.rng, self.table, simple) for _ in range(6)] if simple else [])
        self.both([[b"ECHO", b"the mark"]])
        a, b = ([re.sub(rb"^\+\d+\.\d+ \[(\d+) [^\]]*\]", rb"+[\1]", line) for line in seen]
                for seen in self.heard(clients, b"the mark"))
        if started[0] != started[1] or a != b:
            self.differs([b"MONITOR"], [started[0], *a], [started[1], *b])
        self.met.update(["clock", "identity"])
        self.all["monitor"] += 1
        self.good["monitor"] += 1
        self.left(clients)

    def left(self, clients):
        """They say QUIT: what comes then, up to the end."""
        said = []
        for c in clients:
            c.send([[b"QUIT"]])
            seen = []
            try:
                while True:
                    seen.append(c.reply())
            except (EOFError, ConnectionResetError):
                pass
            said.append(seen)
            c.close()
        if said[0] != said[1]:
            self.differs([b"QUIT"], *said)
        self.all["quit"] += 1
        self.good["quit"] += 1

    def saves(self):
        """BGSAVE or BGREWRITEAOF, and nothing else until it is done: what a DEBUG RELOAD of Redis loads could be the file
        that the former writes meanwhile."""
        self.both([self.rng.choice([[b"BGSAVE"], [b"bgsave", b"SCHEDULE"], [b"BGREWRITEAOF"]])])
        end = time.monotonic() + PATIENCE
        busy = rb"(rdb_bgsave|aof_rewrite)_(in_progress|scheduled):1"
        while True:
            self.pair[1].send([[b"INFO", b"persistence"]])
            if not re.search(busy, self.pair[1].reply()):
                return
            if time.monotonic() > end:
                sys.exit("differ: redis-server does not end what it does in the background")
            time.sleep(0.002)

    def ends(self):
        """The servers end by SHUTDOWN, and say nothing."""
        for c in self.pair:
            c.send([[b"SHUTDOWN", b"NOSAVE"]])
        said = []
        for c in self.pair:
            try:
                said.append(c.reply())
            except (EOFError, OSError):
                said.append(None)
        if said != [None, None]:
            self.differs([b"SHUTDOWN", b"NOSAVE"], *said)
        self.all["shutdown"] += 1
        self.good["shutdown"] += 1

    def dumps(self):
        """What DUMP gives is each server's own: it is restored there, and what came of it is compared."""
        rng = self.rng
        kind = rng.choice("lshez")
        key, copy = b"%s%d" % (kind.encode(), rng.randrange(4)), b"%s%d" % (kind.encode(), rng.randrange(4))
        texts = []
        for c in self.pair:
            c.send([[b"DUMP", key]])
            texts.append(c.reply())
        self.history.append(f"DUMP {key}")
        self.all["dump"] += 1
        if texts[0].startswith(b"-ERR a stream cannot be dumped") and texts[1][:1] == b"$":
            return  # one that was renamed to this key: docs/RESP.md
        if texts[0][:1] != texts[1][:1] or texts[0][:3] == b"$-1" != texts[1][:3]:
            self.differs([b"DUMP", key], *texts)
        if texts[0][:1] != b"$" or texts[0][:3] == b"$-1":
            return
        self.good["dump"] += 1
        ttl = rng.choice([b"0", b"0", b"0", b"100000", b"-1", b"x", b""])
        rest = rng.choice([[], [b"REPLACE"], [b"replace"], [b"ABSTTL", b"REPLACE"], [b"IDLETIME", b"5", b"REPLACE"],
                           [b"FREQ", b"9"], [b"FREQ", b"256"], [b"IDLETIME", b"-1"], [b"IDLETIME"], [b"no"],
                           [b"FREQ", b"1", b"IDLETIME", b"1"], [b"IDLETIME", b"x"]])
        spoil = rng.random()
        look = {"l": [b"LRANGE", copy, b"0", b"-1"], "s": [b"GET", copy], "h": [b"HGETALL", copy],
                "e": [b"SMEMBERS", copy], "z": [b"ZRANGE", copy, b"0", b"-1", b"WITHSCORES"]}[kind]
        seen = []
        for c, reply in zip(self.pair, texts):
            head, _, payload = reply.partition(b"\r\n")
            payload = payload[:-2]
            if spoil < 0.1:
                payload = payload[:-1] + bytes([payload[-1] ^ 1])
            elif spoil < 0.2:
                payload = payload[:5]
            c.send([[b"RESTORE", copy, ttl, payload, *rest], [b"TTL", copy], look])
            seen.append([c.reply(), c.reply(), c.reply()])
        sent = [b"RESTORE", copy, ttl, b"(the payload of %s)" % key, *rest]
        self.history.append(f"{text(sent)} -> {seen[0][0]!r}")
        self.all["restore"] += 1
        self.good["restore"] += seen[0][0][:1] != b"-"
        for name, a, b in zip(["restore", "ttl", look[0].decode().lower()], *seen):
            self.same(sent, name, a, b)
        self.met.update(["dump"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("oxbowd")
    parser.add_argument("--commands", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=int(os.environ.get("OXBOW_SEED", time.time())))
    parser.add_argument("--families", default=",".join(FAMILIES))
    parser.add_argument("--least", type=int, default=20, help="successes of each command")
    parser.add_argument("--memory", action="store_true", help="all databases are kept in memory")
    args = parser.parse_args()
    redis = shutil.which("redis-server")
    if not redis:
        print("differ_test: skipped: no redis-server")
        return 77
    differences.check(differ_alike.named())
    print(f"OXBOW_SEED={args.seed}")
    rng = random.Random(args.seed)
    words = Words(rng, args.memory)
    table = {}
    for family in args.families.split(","):
        table.update(FAMILIES[family](words))
    where = tempfile.mkdtemp(prefix="oxbow-differ-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    both = ["--enable-debug-command", "yes", "--slowlog-log-slower-than", "-1"]  # a machine may be slow
    memory = ["--db"] + [word for n in range(16) for word in (str(n), "memory")] if args.memory else []
    ours = Server("ours", lambda path, home: [args.oxbowd, "--port", "0", "--unixsocket", path, "--dir",
                                              home, "--appendfsync", "no", *both, *memory], where)
    theirs = Server("theirs", lambda path, home: [redis, "--port", "0", "--unixsocket", path, "--save", "",
                                                  "--appendonly", "no", "--hz", "500", *both], where)
    try:
        lists = [listed(s) for s in (ours, theirs)]
        known = differ_alike.KNOWN.names = lists[0] & lists[1]
        names = sorted(n for n in table if n.encode() in lists[0] or n[0] == "_")
        if "inside" in args.families.split(","):
            others = [name for name in names if name[0] != "_"]
            for name in ("command|getkeys", "command|getkeysandflags"):
                table[name] = lambda: command(rng, table, others)
                names.append(name)
        differ = Differ((ours, theirs), rng, names, table, {name.decode() for name in known}, args.memory)
        start = time.time()
        while sum(differ.all.values()) < args.commands:
            differ.round()
            for step in (differ.waits, differ.listens, differ.looks_on, differ.saves):
                if rng.random() < 0.05:
                    step()
            for _ in range(3):
                differ.dumps()
        differ.ends()
        report(differ, args, known if args.families == ",".join(FAMILIES) else {n.encode() for n in names}, time.time() - start)
    finally:
        ours.stop()
        theirs.stop()
    shutil.rmtree(where)
    return 0


def listed(server):
    """The commands that it has, subcommands too."""
    client = Client(server)
    client.send([[b"COMMAND", b"LIST"]])
    names = {name.split(b"\r\n")[1] for name in differ_alike.elements(client.reply())}
    client.close()
    return names


def report(differ, args, known, seconds):
    """What there was, and whether each command that both have was carried out often enough."""
    total, good = sum(differ.all.values()), sum(differ.good.values())
    print(f"differ: {total} commands, {100 * good // total} of a hundred succeeded, {seconds:.0f} s, no difference")
    print("differ: " + ", ".join(f"{n} {differ.good[n]}/{differ.all[n]}" for n in sorted(differ.all)))
    print("differ: let pass by the list in docs/RESP.md: " + ", ".join(f"{n} {differ.met[n]}" for n in sorted(differ.met)))
    names = sorted(name.decode() for name in known)
    containers = {name.split("|")[0] for name in names if "|" in name}
    few = []
    for name in names:
        if name in containers or name[0] == "_":
            continue
        least = 0 if name in SELDOM else args.least // SUBCOMMANDS if "|" in name else args.least
        if differ.all[name] == 0 or differ.good[name] < least:
            few.append(f"{name} {differ.good[name]}/{differ.all[name]}")
    if few:
        sys.exit(f"differ: too few successes: {', '.join(few)}")


if __name__ == "__main__":
    sys.exit(main())
