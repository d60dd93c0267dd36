#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The same users, by random rules, to oxbowd and to a real redis-server: what is said of the rules, what
users look like afterwards, what each may do (ACL DRYRUN, and as the user itself), and what is logged.

    differ_acl.py OXBOWD [--rounds N] [--seed S]

The rules about commands that GETUSER and LIST show are left out: Redis 7.0 makes other ones of the same
effect (`rules` in the list of docs/RESP.md, with `unknown` and `selector`); that the effect is the same is what the dry runs show, over every command that
both have.
"""
import argparse
import os
import random
import re
import shutil
import sys
import tempfile
import time

import differ_alike
import differences
from differ import FAMILIES
from differ_commands import Words
from differ_server import Client, Server, text

USERS = [b"u1", b"u2", b"default2"]
PATTERNS = [b"*", b"l*", b"s1", b"[hz]?", b"e*", b"x", b"", b"a b", b"z[1-2]"]
CHANNELS = [b"*", b"news", b"n*", b"", b"q?"]
PASSWORDS = [b"x", b"y", b"", b"pass word"]
HASHES = [b"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881",
          b"A" * 64, b"12", b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]
CATEGORIES = ("keyspace read write set sortedset list hash string bitmap hyperloglog geo stream pubsub "
              "fast slow blocking dangerous connection transaction all bogus admin").split()
DRY_RUNS = 25


def reply_tree(client):
    """The next reply as a tree; errors as bytes that begin with a dash."""
    raw = client.reply()
    pos = 0

    def line():
        nonlocal pos
        end = raw.index(b"\r\n", pos)
        out, pos = raw[pos:end], end + 2
        return out

    def one():
        nonlocal pos
        head = line()
        kind = head[:1]
        if kind == b"$":
            if head == b"$-1":
                return None
            size = int(head[1:])
            out, pos = raw[pos:pos + size], pos + size + 2
            return out
        if kind in b"*~%":
            count = int(head[1:]) * (2 if kind == b"%" else 1)
            return [one() for _ in range(count)]
        return head

    return one()


class Rules:
    def __init__(self, rng, commands):
        self.rng, self.commands = rng, commands

    def command(self):
        r = self.rng.random()
        if r < 0.04:
            return b"bogus"
        if r < 0.07:
            return b"select|%d" % self.rng.randrange(3)
        if r < 0.08:
            return b"config|get|x"
        return self.rng.choice(self.commands)

    def of_selector(self):
        rng = self.rng
        sign = rng.choice([b"+", b"+", b"-"])
        return rng.choice([
            lambda: sign + self.command(),
            lambda: sign + self.command(),
            lambda: sign + b"@" + rng.choice(CATEGORIES).encode(),
            lambda: rng.choice([b"~", b"%R~", b"%W~", b"%rw~", b"%~", b"%X~"]) + rng.choice(PATTERNS),
            lambda: rng.choice([b"~", b"%R~", b"%W~"]) + rng.choice(PATTERNS),
            lambda: b"&" + rng.choice(CHANNELS),
            lambda: rng.choice([b"allkeys", b"resetkeys", b"resetkeys", b"allchannels",
                                b"resetchannels", b"nocommands", b"allcommands", b"junk"]),
        ])()

    def rule(self):
        rng = self.rng
        r = rng.random()
        if r < 0.6:
            out = self.of_selector()
        elif r < 0.7:
            out = b"(" + b" ".join(self.of_selector() for _ in range(rng.randrange(4)))
            out += b")" if rng.random() < 0.9 else b""
        elif r < 0.85:
            out = rng.choice([b">", b"<", b"<"]) + rng.choice(PASSWORDS) if rng.random() < 0.6 \
                else rng.choice([b"#", b"!"]) + rng.choice(HASHES)
        else:
            out = rng.choice([b"on", b"OFF", b"nopass", b"resetpass", b"reset", b"clearselectors",
                              b"sanitize-payload", b"skip-sanitize-payload", b"on", b""])
        return out.upper() if rng.random() < 0.03 and out[:1] in b"+-anr" else out


def without_commands(tree):
    """A user as GETUSER gives it, but for its rules about commands."""
    if not isinstance(tree, list):
        return tree
    out = list(tree)
    for i in range(0, len(out) - 1, 2):
        if out[i] == b"commands":
            out[i + 1] = None
        elif out[i] == b"selectors":
            out[i + 1] = [without_commands(s) for s in out[i + 1]]
    return out


def line_without_commands(line):
    return re.sub(rb"[+-]@all[^()]*", b"", line)


def entry(tree):
    named = dict(zip(tree[::2], tree[1::2]))
    return [named[k] for k in (b"count", b"reason", b"context", b"object", b"username")]


class Differ:
    def __init__(self, servers, rng):
        self.rng = rng
        self.servers = servers
        self.pair = [Client(s) for s in servers]
        self.history = []
        words = Words(rng)
        self.table = {}
        for family in FAMILIES.values():
            self.table.update(family(words))
        self.table.update({
            "subscribe": lambda: [rng.choice([b"news", b"n1", b"q1"])],
            "psubscribe": lambda: [rng.choice([b"n*", b"news", b"q?"])],
            "publish": lambda: [rng.choice([b"news", b"n1", b"q1"]), b"m"],
            "config": lambda: [rng.choice([b"get", b"set", b"resetstat"]), b"x", b"y"][:rng.choice([2, 3])],
            "acl": lambda: [rng.choice([b"whoami", b"list", b"cat", b"users", b"genpass"])],
            "client": lambda: [rng.choice([b"id", b"list", b"getname", b"info"])],
            "xadd": lambda: [words.key("x"), b"*", b"f", b"v"],
            "xread": lambda: [b"COUNT", b"1", b"STREAMS", words.key("x"), words.key("l"), b"0", b"0"],
            "xreadgroup": lambda: [b"GROUP", b"g", b"streams", b"STREAMS", words.key("x"), b">"],
            "xgroup": lambda: [b"create", words.key("x"), b"g", b"$"],
            "xinfo": lambda: [b"stream", words.key("x")],
            "blpop": lambda: [words.key("l"), words.key("s"), b"0.001"],
            "bzpopmin": lambda: [words.key("z"), b"0.001"],
            "blmpop": lambda: [b"0.001", b"2", words.key("l"), words.key("l"), b"LEFT"],
            "info": lambda: [], "auth": lambda: [b"nobody", b"x"], "role": lambda: [],
            "flushdb": lambda: [], "swapdb": lambda: [b"0", b"1"], "scan": lambda: [b"0"],
            "sscan": lambda: [words.key("e"), b"0"], "time": lambda: [],
        })
        self.pair[0].send([[b"COMMAND", b"LIST"]])
        known = set(reply_tree(self.pair[0]))
        self.names = sorted(n for n in self.table if n.encode() in known)
        self.pair[0].send([[b"COMMAND"]])
        rows = reply_tree(self.pair[0])
        ours = [row[0] for row in rows] + [sub[0] for row in rows for sub in row[9]]
        self.pair[1].send([[b"COMMAND", b"INFO", *ours]])
        self.rows = [(a, b) for a, b in zip(
            [row for row in rows] + [sub for row in rows for sub in row[9]],
            reply_tree(self.pair[1])) if b is not None]
        self.commands = sorted(a[0] for a, _ in self.rows)
        self.rules = Rules(rng, self.commands)
        self.counts = {"rules": 0, "taken": 0, "dry runs": 0, "allowed": 0, "as the user": 0,
                       "refused": 0}

    def differs(self, what, a, b):
        for line in self.history[-60:]:
            print("   ", line)
        sys.exit(f"differ: {what}\n  oxbowd       {a!r}\n  redis-server {b!r}")

    def both(self, sent, seen=lambda tree: tree):
        for c in self.pair:
            c.send([sent])
        a, b = (seen(reply_tree(c)) for c in self.pair)
        self.history.append(f"{text(sent)} -> {a!r}"[:300])
        if a != b:
            self.differs(text(sent), a, b)
        return a

    def categories(self):
        """Each command is in the same categories in both."""
        for a, b in self.rows:
            ours, theirs = set(a[6]), set(b[6])
            if ours != theirs:
                self.differs(f"the categories of {a[0].decode()}", sorted(ours), sorted(theirs))

    def command(self):
        name = self.rng.choice(self.names)
        return [*(word.encode() for word in name.split("|")), *self.table[name]()]

    def user(self, user):
        """Who is on is let in, and may do the same in both."""
        clients = []
        for s in self.servers:
            c = Client(s)
            c.send([[b"AUTH", user, b"x"]])
            clients.append((c, c.reply()))
        (ours, a), (theirs, b) = clients
        if a != b:
            self.differs(f"AUTH {user}", a, b)
        for _ in range(6 if a[:1] == b"+" else 0):
            sent = self.command()
            if sent[0] in (b"subscribe", b"psubscribe", b"blpop", b"bzpopmin", b"blmpop", b"multi",
                           b"auth", b"exec", b"client", b"acl", b"config", b"swapdb", b"hello", b"reset",
                           b"shutdown"):
                continue
            for c in (ours, theirs):
                c.send([sent])
            a, b = ours.reply(), theirs.reply()
            self.history.append(f"as {user}: {text(sent)} -> {a[:100]!r}")
            no = a[:7] == b"-NOPERM"
            if no != (b[:7] == b"-NOPERM") or (no and a != b):
                self.differs(f"as {user}: {text(sent)}", a, b)
            self.counts["as the user"] += 1
            self.counts["refused"] += no
        ours.close()
        theirs.close()

    def round(self):
        rng = self.rng
        user = rng.choice(USERS)
        sent = [b"ACL", b"SETUSER", user, *[self.rules.rule() for _ in range(rng.randrange(1, 6))]]
        self.counts["rules"] += 1
        self.counts["taken"] += self.both(sent) == b"+OK"
        self.both([b"ACL", b"GETUSER", user], without_commands)
        if rng.random() < 0.3:
            self.both([b"ACL", b"LIST"], lambda t: [line_without_commands(line) for line in t])
        for _ in range(DRY_RUNS):
            said = self.both([b"ACL", b"DRYRUN", user, *self.command()])
            self.counts["dry runs"] += 1
            self.counts["allowed"] += said == b"+OK"
        if rng.random() < 0.3:
            if rng.random() < 0.8:
                self.both([b"ACL", b"SETUSER", user, b"on", b">x"])
            self.user(user)
            self.both([b"ACL", b"LOG", b"50"], lambda t: [entry(e) for e in t])
        if rng.random() < 0.05:
            self.both([b"ACL", b"DELUSER", rng.choice(USERS), rng.choice([b"nobody", b"default"])])
            self.both([b"ACL", b"USERS"])
        if rng.random() < 0.05:
            self.both([b"ACL", b"LOG", b"RESET"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("oxbowd", type=os.path.abspath)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=int(os.environ.get("OXBOW_SEED", time.time())))
    args = parser.parse_args()
    redis = shutil.which("redis-server")
    if not redis:
        print("differ_acl: skipped: no redis-server")
        return 77
    differences.check(differ_alike.named())
    print(f"OXBOW_SEED={args.seed}")
    where = tempfile.mkdtemp(prefix="oxbow-differ-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    servers = [Server("ours", lambda path, home: [args.oxbowd, "--port", "0", "--unixsocket", path,
                                                  "--dir", home, "--appendfsync", "no"], where),
               Server("theirs", lambda path, home: [redis, "--port", "0", "--unixsocket", path,
                                                    "--save", "", "--appendonly", "no"], where)]
    try:
        differ = Differ(servers, random.Random(args.seed))
        differ.categories()
        for _ in range(args.rounds):
            differ.round()
        print("differ_acl: " + ", ".join(f"{v} {k}" for k, v in differ.counts.items())
              + f", {len(differ.rows)} commands in the same categories, no difference")
        if differ.counts["taken"] * 4 < differ.counts["rules"] or \
                differ.counts["allowed"] * 25 < differ.counts["dry runs"]:
            sys.exit("differ_acl: too little was taken or allowed to tell")
    finally:
        for s in servers:
            s.stop()
    shutil.rmtree(where)
    return 0


if __name__ == "__main__":
    sys.exit(main())
