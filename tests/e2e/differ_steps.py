# SPDX-License-Identifier: Apache-2.0
"""Steps of differ.py that take more than one client, or cannot be compared as they come: clients that wait, listen, look
on and leave, what is saved, dumped and drawn, and the end."""
import itertools
import os
import re
import shutil
import sys
import time

from differ_forms import command
from differ_server import PATIENCE, Client, text


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


class Steps:
    """What Differ does beside its rounds; what is used of it is there."""

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
            said.append(self.rest(c))
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

    def graphs(self):
        """LATENCY GRAPH of something that took long. What else took long is chance, and forgotten uncompared."""
        self.both([[b"CONFIG", b"SET", b"latency-monitor-threshold", b"1"], [b"DEBUG", b"SLEEP", b"0.002"],
                   [b"LATENCY", b"GRAPH", b"command"], [b"LATENCY", b"RESET", b"command"],
                   [b"CONFIG", b"SET", b"latency-monitor-threshold", b"0"]])
        for c in self.pair:
            c.send([[b"LATENCY", b"RESET"]])
            c.reply()

    def ends(self):
        """Two other servers end by SHUTDOWN while somebody listens, waits or is in a transaction: what each is told, and how
        the servers end."""
        rng = self.rng
        there = rng.choice([[], [[b"SUBSCRIBE", b"c1"]], [[b"BLPOP", b"l1", b"0"]], [[b"MULTI"], [b"SET", b"s1", b"v"]]])
        sent = [b"SHUTDOWN", *rng.choice([[], [b"NOSAVE"], [b"nosave"], [b"SAVE"], [b"NOW"], [b"FORCE"], [b"NOSAVE", b"now"],
                                          [b"save", b"FORCE", b"NOW"]])]
        servers = self.started()
        seen = []
        for server in servers:
            one = Client(server)
            other = self.comes(one, b"default", there, 0 if there and there[0][0] == b"BLPOP" else len(there))
            one.send([[b"SET", b"s1", b"v"]])
            one.reply()
            one.send([sent])
            seen.append([self.rest(one), self.rest(other), server.ended()])
        self.history.append(f"there is {there!r}; {text(sent)} -> {seen[0]!r}")
        if seen[0] != seen[1]:
            self.differs(sent, *seen)
        shutil.rmtree(os.path.dirname(servers[0].home))
        self.all["shutdown"] += 1
        self.good["shutdown"] += 1

    def rest(self, client):
        """All that comes to a client up to the end of its connection."""
        seen = []
        try:
            while True:
                seen.append(client.reply())
        except (EOFError, ConnectionError):
            client.close()
        return seen

    def comes(self, seer, user, sent, answered):
        """One more client of a server, by this user, who sends this, of which so much is answered at once; `seer` sees
        that it waits if not all is."""
        client = Client(seer.server)
        client.send([[b"AUTH", user, b"x"], [b"CLIENT", b"ID"], *sent])
        client.reply()
        who = client.reply()[1:-2]
        for _ in range(answered):
            client.reply()
        if answered < len(sent):
            blocked(seer, who, self.history)
        return client

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
