#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The same random commands to oxbowd and to a real redis-server; replies are compared byte for byte.

    differ.py OXBOWD [--commands N] [--seed S] [--families list,string,...] [--memory]

Valid and invalid arguments, both versions of the protocol, transactions, clients that wait. Each command
that oxbowd has must have succeeded often enough (--least), or the test looks at refusals alone. What may
differ stands in docs/RESP.md; what is compared less strictly, and why, in LOOSE below. The first
difference ends the run, with the seed and the commands that led there.
"""
import argparse
import collections
import hashlib
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

import differ_stream

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


# ---- what is sent ----

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
        "lindex": lambda: [k(), w.number()], "lset": lambda: [k(), w.number(-4, 4), w.value()],
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


class Scripts:
    """Small programs by a grammar. Left out: addresses, orders that Redis does not promise, clocks, and an
    error that is a table without `err`, of which Redis 7.0 ends."""

    CALLS = ["'get','s1'", "'set','s1',{v}", "'incr','s2'", "'append','s1',{v}", "'strlen','s1'",
             "'rpush','l1',{v},{v}", "'lrange','l1',0,-1", "'lpop','l1'", "'lpop','l1',2", "'llen',{v}",
             "'hset','h1','f',{v}", "'hget','h1','f'", "'hmget','h1','f','g'", "'zadd','z1',{n},{v}",
             "'zscore','z1',{v}", "'zrange','z1',0,-1,'withscores'", "'zincrby','z1',{n},'m'", "'sadd','e1',{v}",
             "'scard','e1'", "'sismember','e1',{v}", "'del',{v}", "'exists','s1'", "'type','l1'", "'ping'",
             "'echo',{v}", "'mget','s1','nothing','s2'", "'lindex','l1',{n}", "'nosuch',{v}", "'get'",
             "'blpop','l1',0", "'multi'", "'select',3", "'set','s1',{v},'nx'", "'persist','s1'", "'setnx','s1',{v}",
             "'xadd','x1','5-*','f',{v}", "'xlen','x1'", "'incrbyfloat','s3',{n}", "'publish','c',{v}",
             "'eval','return 1',0", "'lset','l1',{n},{v}", "'zpopmin','z1'", "{v},{v}", "{v}", "", "'PING',{v}"]
    NUMBERS = ["0", "1", "-1", "2", "7", "-3", "1.5", "-0.5", "1e15", "2^53", "1e20", "1/0", "-1/0", "255",
               "65536", "4294967296", "0.1", "1700000000123", "-2^31", "-2^63", "3.0"]
    TEXTS = ["''", "'a'", "'1'", "'10'", "'1.5'", "'x y'", "'\\0\\1\\255'", "'a\\r\\nb'", "('x'):rep(40)",
             "('ab'):rep(200)", "'{{\"a\":[1,2.5,null,true]}}'", "'[1,[2,{{}}],\"\\\\u00e9\"]'", "'[}}'", "'\\147\\1\\2\\3'",
             "'\\130\\161a\\1\\161b\\192'", "'OK'", "'ERR x'"]

    def __init__(self, rng):
        self.rng = rng

    def number(self, depth):
        if depth <= 0 or self.rng.random() < 0.5:
            return self.rng.choice(self.NUMBERS)
        one, two = (lambda: self.number(depth - 1)), (lambda: self.value(depth - 1))
        return self.rng.choice([
            lambda: f"({one()}){self.rng.choice('+-*/%^')}({one()})", lambda: f"math.floor({one()})",
            lambda: f"#({two()})", lambda: f"tonumber({two()})", lambda: f"math.max({one()},{one()})",
            lambda: f"bit.{self.rng.choice(['band', 'bor', 'bxor', 'lshift', 'rshift', 'arshift', 'rol'])}"
                    f"({one()},{one()})", lambda: f"bit.bnot({one()})", lambda: f"string.byte({two()})",
            lambda: f"struct.size('<i{self.rng.randrange(1, 9)}>h!{self.rng.choice('248')}d')",
            lambda: f"select('#',{two()},{two()})", lambda: "#KEYS", lambda: f"math.fmod({one()},{one()})"])()

    def text(self, depth):
        if depth <= 0 or self.rng.random() < 0.5:
            return self.rng.choice(self.TEXTS).replace("{{", "{").replace("}}", "}")
        one, two = (lambda: self.text(depth - 1)), (lambda: self.value(depth - 1))
        return self.rng.choice([
            lambda: f"({one()})..({one()})", lambda: f"tostring({self.number(depth - 1)})",
            lambda: f"cjson.encode({two()})", lambda: f"cmsgpack.pack({two()},{two()})",
            lambda: f"redis.sha1hex({one()})", lambda: f"string.sub({one()},{self.number(0)},{self.number(0)})",
            lambda: f"string.format('%s|%5.2f|%q',{one()},{self.number(0)},{one()})", lambda: f"({one()}):upper()",
            lambda: f"struct.pack('{self.rng.choice('<>=')}{self.rng.choice('bBhHiIlLfd')}s',{self.number(0)},{one()})",
            lambda: f"bit.tohex({self.number(0)})", lambda: f"string.gsub({one()},'%w','<%0>')",
            lambda: f"table.concat({{{one()},{self.number(0)}}},{one()})", lambda: f"type({two()})", lambda: "ARGV[1]", lambda: "KEYS[1]",
            lambda: f"string.match({one()},'(%a+)')", lambda: f"string.reverse({one()})"])()

    def table(self, depth):
        one = lambda: self.value(depth - 1)
        return self.rng.choice([
            lambda: "{}", lambda: f"{{{one()}}}", lambda: f"{{{one()},{one()},{one()}}}",
            lambda: f"{{a={one()},b={one()}}}", lambda: f"{{{one()},k={one()}}}",
            lambda: f"{{err={self.text(0)}}}", lambda: f"{{ok={self.text(0)}}}", lambda: f"{{double={self.number(0)}}}",
            lambda: f"{{map={{k={one()}}}}}", lambda: f"{{set={{k=true}}}}", lambda: f"{{big_number={self.text(0)}}}",
            lambda: f"{{verbatim_string={{format='txt',string={self.text(0)}}}}}",
            lambda: f"cjson.decode({self.text(depth - 1)})", lambda: f"{{cmsgpack.unpack({self.text(depth - 1)})}}",
            lambda: f"{{cmsgpack.unpack_one({self.text(depth - 1)})}}", lambda: f"{{pcall(function() return {one()} end)}}",
            lambda: f"{{struct.unpack('<{self.rng.choice('bBhHiIlLfds')}',{self.text(depth - 1)})}}",
            lambda: f"redis.error_reply({self.text(0)})", lambda: f"redis.status_reply({self.text(0)})",
            lambda: f"{{unpack({{{one()},{one()}}})}}", lambda: f"cmsgpack.unpack(cmsgpack.pack({one()}))",
            lambda: f"cjson.decode(cjson.encode({{{one()},{one()}}}))"])()

    def call(self, depth):
        form = self.rng.choice(self.CALLS)
        while "{v}" in form:
            form = form.replace("{v}", self.value(depth - 1), 1)
        form = form.replace("{n}", self.number(0))
        return f"redis.{'pcall' if self.rng.random() < 0.5 else 'call'}({form})"

    def value(self, depth):
        r = self.rng.random()
        if depth <= 0 or r < 0.25:
            return self.rng.choice([self.number(0), self.text(0), "true", "false", "nil"])
        if r < 0.4:
            return self.number(depth)
        if r < 0.6:
            return self.text(depth)
        return self.call(depth) if r < 0.8 else self.table(depth)

    def statement(self, n):
        one = lambda: self.value(2)
        return self.rng.choice([
            lambda: f"local v{n} = {one()}", lambda: self.call(2), lambda: self.call(2),
            lambda: f"if {one()} then {self.call(1)} end", lambda: f"for i = 1, 3 do {self.call(1)} end",
            lambda: f"pcall(function() {self.call(1)} error({self.text(0)}) end)", lambda: "redis.setresp(3)",
            lambda: f"local v{n} = {one()} if type(v{n}) == 'table' then v{n}.x = 1 end"])()

    def program(self):
        lines = [self.statement(n) for n in range(self.rng.choice([0, 0, 1, 2, 4]))]
        r = self.rng.random()
        if r < 0.03:
            lines.append(self.rng.choice(["x = 1", "string.x = 1", "return nothing", f"error({self.text(1)})",
                                          f"error({self.text(0)}, 0)", "return #nil", "rawset(_G, 'a', 1)",
                                          "return return", "error(redis.error_reply('MY text'))"]))
        else:
            lines.append(f"return {self.value(3)}")
        shebang = self.rng.choice(["", "", "", "", "", "", "#!lua\n", "#!lua flags=no-writes\n",
                                   "#!lua flags=allow-oom,nonsense\n"])
        return (shebang + self.rng.choice([" ", "\n"]).join(lines)).encode("latin1")


def script_commands(w):
    scripts = Scripts(w.rng)
    last = [b"return 1"]
    count = itertools.count()

    def new():
        # No text comes twice: ours forgets what it has not seen for 500 scripts.
        last[0] = scripts.program() + b" --%d" % next(count)
        return last[0]

    rest = lambda: w.rng.choice([[b"0"], [b"0", w.value()], [b"1", w.key("s"), w.value()], [b"1", w.key("l"), w.value()],
                                 [b"2", w.key("s"), w.key("s"), w.value(), w.value()], [w.number(-1, 3), w.value()]])
    sha = lambda: hashlib.sha1(last[0]).hexdigest().encode()
    return {
        "eval": lambda: [new(), *rest()], "eval_ro": lambda: [new(), *rest()],
        "evalsha": lambda: [sha(), *rest()], "evalsha_ro": lambda: [sha(), *rest()],
        "script": lambda: [b"LOAD", new()] if w.rng.random() < 0.5 else [b"EXISTS", sha(), b"x"],
    }


FAMILIES = {"list": list_commands, "string": string_commands, "hash": hash_commands, "set": set_commands,
            "zset": zset_commands, "stream": differ_stream.commands,
            "key": key_commands, "inside": inside_commands, "sort": sort_commands,
            "connection": connection_commands,
            "script": script_commands}
# Commands whose successes cannot be many, or that only open the way for others.
SELDOM = {"exec", "discard", "multi", "watch", "unwatch", "select", "flushall", "hello"}


def command(rng, table, names):
    name = rng.choice(names)
    args = table[name]()
    if name[0] == "_":  # what prepares others says itself what it is
        return args
    if rng.random() < 0.01:
        args = args[:-1] if rng.random() < 0.5 else args + [b"extra"]
    word = name.upper() if rng.random() < 0.3 else name
    return [word.encode(), *args]


# ---- what is compared ----

def parts(reply):
    """The head of an array or map of bulk strings, and these."""
    head, _, rest = reply.partition(b"\r\n")
    items = []
    while rest[:1] == b"$":
        size, _, rest = rest[1:].partition(b"\r\n")
        items.append(rest[:int(size)])
        rest = rest[int(size) + 2:]
    return head, items


def lines_sorted(reply):
    head, items = parts(reply)
    return head, sorted(items)


def pairs_sorted(reply):
    head, items = parts(reply)
    return head, sorted(zip(items[::2], items[1::2]))


def near(a, b):
    """Times left: both servers are asked a moment apart."""
    if a[:1] != b":" or b[:1] != b":":
        return a == b
    x, y = int(a[1:]), int(b[1:])
    return x == y if min(x, y) < 0 else abs(x - y) <= 5000


def inside(a, b):
    """Numbers are of each server's own memory. How Redis keeps a value depends on how it came there too: what is
    short may be kept as if it were long."""
    kinds = [a.split(b"\r\n")[-2:-1], b.split(b"\r\n")[-2:-1]]
    for longer in ([b"int", b"embstr", b"raw"], [b"intset", b"hashtable"], [b"listpack", b"hashtable"],
                   [b"listpack", b"skiplist"]):
        if all(kind and kind[0] in longer for kind in kinds):
            return longer.index(kinds[0][0]) <= longer.index(kinds[1][0])
    return a[:1] == b[:1] == b":" or a == b


def drawn(a, b):
    """As many of them."""
    return a.split(b"\r\n")[0] == b.split(b"\r\n")[0] or a[:1] == b[:1] == b"$" and b"$-1\r\n" not in (a, b)


def described(a, b):
    """DEBUG OBJECT tells addresses and times."""
    return a == b or a[:10] == b[:10] == b"+Value at:"


def counted(a, b):
    """How long calls took is of each server's own."""
    return a == b or b"histogram_usec" in a and b"histogram_usec" in b


LOOSE = {  # an order that Redis does not promise; times; memory
    "debug": described, "latency": counted, "zrandmember": drawn, "object": inside, "memory": inside,
    "keys": lambda a, b: lines_sorted(a) == lines_sorted(b),
    "smembers": lambda a, b: lines_sorted(a) == lines_sorted(b),
    "sinter": lambda a, b: lines_sorted(a) == lines_sorted(b),
    "sunion": lambda a, b: lines_sorted(a) == lines_sorted(b),
    "sdiff": lambda a, b: lines_sorted(a) == lines_sorted(b),
    "hkeys": lambda a, b: lines_sorted(a) == lines_sorted(b),
    "hvals": lambda a, b: lines_sorted(a) == lines_sorted(b),
    "hgetall": lambda a, b: pairs_sorted(a) == pairs_sorted(b),
    "ttl": near, "pttl": near, "expiretime": near, "pexpiretime": near,
    **differ_stream.LOOSE,
}


def zeros(reply):
    """Redis forgets the sign of a score of 0 in small sorted sets alone."""
    return reply.replace(b"$2\r\n-0\r\n", b"$1\r\n0\r\n").replace(b",-0\r\n", b",0\r\n")


def same(name, a, b, in_multi):
    if a == b or (name[0] in "ze" and zeros(a) == zeros(b)):  # sorted sets; EXEC and EVAL
        return True
    if in_multi:
        return False
    return name in LOOSE and LOOSE[name](a, b)


def is_open(c):
    """Whether Redis leaves the order of the reply open: a set that is sorted by what is the same for all."""
    words = [w.upper() for w in c]
    return words[0] in (b"SORT", b"SORT_RO") and c[1:2] and c[1].startswith(b"oe") and \
        any(w == b"BY" and b"*" not in by for w, by in zip(words[2:], words[3:]))


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
    def __init__(self, ours, theirs, rng, names, table):
        self.pair = (Client(ours), Client(theirs))
        self.rng, self.names, self.table = rng, names, table
        self.history = collections.deque(maxlen=HISTORY)
        self.good = collections.Counter()
        self.all = collections.Counter()

    def differs(self, sent, a, b):
        print("differ: replies differ; what came before:")
        for line in self.history:
            print("   ", line)
        sys.exit(f"differ: {text(sent)}\n  {sent!r}\n  oxbowd       {a!r}\n  redis-server {b!r}")

    def round(self):
        # A transaction's replies come as one: what is loose must not be in it.
        batch = [command(self.rng, self.table, self.names) for _ in range(PIPELINE)]
        if self.rng.random() < 0.03:
            batch.append([b"HELLO", self.rng.choice([b"2", b"3"])])
        if self.rng.random() < 0.02:
            batch.append([b"FLUSHALL"])
        out, queueing = [], False
        for c in batch:
            name = c[0].decode().lower()
            if queueing and name in LOOSE or is_open(c):
                continue
            if name in ("sort", "sort_ro"):
                # Redis takes an errno that some number left behind for one of SORT's own. This clears it.
                out.append([b"ZADD", b"none", b"XX", b"1", b"m"])
            if name == "debug" and c[1:2] and c[1].upper() == b"RELOAD":
                out.append([b"UNWATCH"])  # what is watched and there has changed for Redis then
            if len(c) == 1:  # with an argument it is refused, and changes nothing
                queueing = {"multi": True, "exec": False, "discard": False}.get(name, queueing)
            out.append(c)
        out += [[b"DISCARD"]] if queueing else []
        for client in self.pair:
            client.send(out)
        for c in out:
            name = c[0].decode().lower()
            a, b = (client.reply() for client in self.pair)
            self.history.append(f"{text(c)} -> {a[:100]!r}")
            if name != "hello" and not same(name, a, b, False):
                self.differs(c, a, b)
            self.all[name] += 1
            self.good[name] += a[:1] != b"-" and a != b"+QUEUED\r\n"

    def waits(self, servers):
        """Three clients wait, in this order; then pushes. Who is given what must be the same."""
        rng = self.rng
        groups = [[Client(s) for _ in range(3)] for s in servers]
        keys = [b"b%d" % i for i in range(3)]
        for c, _ in zip(self.pair, servers):
            c.send([[b"SELECT", b"9"], [b"FLUSHDB"]])
            c.reply(), c.reply()
        for i in range(3):
            some = rng.sample(keys, rng.randrange(1, 4))
            sent = rng.choice([[b"BLPOP", *some, b"0"], [b"BRPOP", *some, b"0"],
                               [b"BLMOVE", some[0], rng.choice(keys), b"LEFT", b"RIGHT", b"0"],
                               [b"BRPOPLPUSH", some[0], some[-1], b"0"],
                               [b"BLMPOP", b"0", b"%d" % len(some), *some, b"LEFT", b"COUNT", b"2"]])
            self.history.append(f"client {i + 1}: {text(sent)}")
            for c, g in zip(self.pair, groups):
                g[i].send([[b"CLIENT", b"ID"], [b"SELECT", b"9"], sent])
                who = g[i].reply()[1:-2]
                g[i].reply()
                blocked(c, who, self.history)
        for _ in range(3):
            sent = [rng.choice([b"RPUSH", b"LPUSH"]), rng.choice(keys),
                    *[b"e%d" % rng.randrange(9) for _ in range(rng.randrange(1, 4))]]
            many = [[b"MULTI"], sent, [b"LPUSH", rng.choice(keys), b"m"], [b"EXEC"]] \
                if rng.random() < 0.3 else [sent]
            many.append([b"LLEN", sent[1]])
            for c in self.pair:
                c.send(many)
            for c in many:
                self.history.append(text(c))
                a, b = (client.reply() for client in self.pair)
                if a != b:
                    self.differs(c, a, b)
                self.all["blocking"] += 1
        for c in self.pair:  # who is given something has been sent it before this is answered
            c.send([[b"PING"]])
            c.reply()
        for i in range(3):
            b = groups[1][i].waiting(0.02)
            a = groups[0][i].waiting(0.02 if b is None else PATIENCE)
            if a != b:
                self.differs([b"(what client %d was given)" % (i + 1)], a, b)
            self.good["blocking"] += a is not None
        for g in groups:
            for c in g:
                c.close()
        for c in self.pair:
            c.send([[b"SELECT", b"0"]])
            c.reply()


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
            if not same(name, a, b, False):
                self.differs(sent, a, b)


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
    print(f"OXBOW_SEED={args.seed}")
    rng = random.Random(args.seed)
    words = Words(rng, args.memory)
    table = {}
    for family in args.families.split(","):
        table.update(FAMILIES[family](words))
    if "inside" in args.families.split(","):
        others = {name: make for name, make in table.items() if name[0] != "_"}
        table["command"] = lambda: [rng.choice([b"GETKEYS", b"GETKEYSANDFLAGS"]), *command(rng, others, sorted(others))]
    where = tempfile.mkdtemp(prefix="oxbow-differ-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    both = ["--enable-debug-command", "yes", "--slowlog-log-slower-than", "-1"]  # a machine may be slow
    memory = ["--db"] + [word for n in range(16) for word in (str(n), "memory")] if args.memory else []
    ours = Server("ours", lambda path, home: [args.oxbowd, "--port", "0", "--unixsocket", path, "--dir",
                                              home, "--appendfsync", "no", *both, *memory], where)
    theirs = Server("theirs", lambda path, home: [redis, "--port", "0", "--unixsocket", path, "--save", "",
                                                  "--appendonly", "no", *both], where)
    try:
        probe = Client(ours)
        probe.send([[b"COMMAND", b"LIST"]])
        known = set(probe.reply().decode().split("\r\n"))
        names = sorted(n for n in table if n in known or n[0] == "_")
        missing = sorted(set(table) - set(names))
        differ = Differ(ours, theirs, rng, names, table)
        start = time.time()
        while sum(differ.all.values()) < args.commands:
            differ.round()
            if rng.random() < 0.05:
                differ.waits((ours, theirs))
            for _ in range(3):
                differ.dumps()
        total, good = sum(differ.all.values()), sum(differ.good.values())
        print(f"differ: {total} commands, {100 * good // total} of a hundred succeeded, "
              f"{time.time() - start:.0f} s, no difference")
        print("differ: " + ", ".join(f"{n} {differ.good[n]}/{differ.all[n]}" for n in sorted(differ.all)))
        if missing:
            print("differ: not there yet: " + " ".join(missing))
        few = [n for n in names if n not in SELDOM and n[0] != "_" and differ.good[n] < args.least]
        if few:
            sys.exit(f"differ: too few successes of {' '.join(few)}")
    finally:
        ours.stop()
        theirs.stop()
    shutil.rmtree(where)
    return 0


if __name__ == "__main__":
    sys.exit(main())
