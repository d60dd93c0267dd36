#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The same random commands to oxbowd and to a real redis-server; replies are compared byte for byte.

    differ.py OXBOWD [--commands N] [--seed S] [--least K] [--families list,string,...] [--memory]

Valid and invalid arguments, both versions of the protocol, transactions, clients that wait, listen, look on
and leave, users who come and go. Each command and subcommand that both servers have must have succeeded often enough
(--least), or the test looks at refusals alone: what lags behind is sent more often (differ_forms.py). What may differ is the numbered list in docs/RESP.md and nothing else (differences.py):
what is compared less strictly for it stands in differ_alike.py. The first difference ends the run, with the
seed and the commands that led there; the same seed, --commands and --least send the same again.
"""
import argparse
import collections
import os
import random
import shutil
import sys
import tempfile
import time

import differ_alike
import differ_commands as commands
import differ_forms
import differ_rest
import differ_script
import differ_stream
import differences
from differ_commands import Words
from differ_forms import command
from differ_server import Client, Server, text
from differ_steps import Steps
from differ_users import FILE, Users

PIPELINE = 40
HISTORY = 100
SHARE = 60  # of a hundred are to succeed

FAMILIES = {"list": commands.list_commands, "string": commands.string_commands, "hash": commands.hash_commands,
            "set": commands.set_commands, "zset": commands.zset_commands, "stream": differ_stream.commands,
            "key": commands.key_commands, "inside": commands.inside_commands, "sort": commands.sort_commands,
            "connection": commands.connection_commands, "script": differ_script.script_commands,
            "some": differ_rest.some_commands, "waiting": differ_rest.waiting_commands, "server": differ_rest.server_commands}
# Commands that cannot succeed, each for an entry of the list: there is no file that could be rewritten (snapshot), and a
# script that runs too long ends by itself (lua).
SELDOM = {"bgrewriteaof", "script|kill"}
# Refused here within MULTI.
ALONE = {"config|set", "client|unblock"}


def is_open(c):
    """Whether Redis leaves the order of the reply open: a set that is sorted by what is the same for all."""
    words = [w.upper() for w in c]
    return words[0] in (b"SORT", b"SORT_RO") and c[1:2] and c[1].startswith(b"oe") and \
        any(w == b"BY" and b"*" not in by for w, by in zip(words[2:], words[3:]))


class Differ(Steps, Users):
    def __init__(self, servers, rng, names, table, known, args, started):
        self.servers = servers
        self.pair = [Client(s) for s in servers]
        self.rng, self.names, self.table, self.known, self.args = rng, names, table, known, args
        self.started = started  # two more servers
        self.history = collections.deque(maxlen=HISTORY)
        self.good = collections.Counter()
        self.all = collections.Counter()
        self.met = collections.Counter()  # how often each entry of the list let something pass
        self.queued = []
        self.choice = None
        # Steps, the commands that count in them, and in how many of a hundred rounds each is done in any case.
        self.steps = [(self.waits, (), 5), (self.saves, ("bgsave",), 5), (self.looks_on, ("monitor", "quit"), 5),
                      (self.listens, tuple("subscribe psubscribe ssubscribe unsubscribe punsubscribe sunsubscribe quit".split()), 5),
                      (self.graphs, ("latency|graph",), 1), (self.files, ("acl|load", "acl|save"), 2),
                      (self.ends_of_users, ("acl|load",), 2), (self.ends, ("shutdown",), 0)]

    def choose(self, counting, forms):
        """Which commands are to succeed often, and what helps them to. Each must be sent by something."""
        often = set(counting) - SELDOM
        steps = {name for _, names, _ in self.steps for name in names} | {"dump", "restore"}
        unsent = often - steps - set(self.table) - set(forms)
        if unsent:
            sys.exit("differ: nothing sends " + ", ".join(sorted(unsent)))
        self.choice = differ_forms.Choice(self.rng, self.table, self.names, forms, often, steps, self.good, self.args.least)

    def step(self):
        self.round()
        for step, names, often in self.steps:
            if self.rng.random() * 100 < (50 if self.choice.lags(names) else often):
                step()
        for _ in range(3):
            self.dumps()

    def ended(self, why):
        print(f"differ: what came before, after {sum(self.all.values())} commands:")
        for line in self.history:
            print("   ", line)
        sys.exit(f"differ: {why}")

    def differs(self, sent, a, b):
        self.ended(f"replies differ: {text(sent)}\n  {sent!r}\n  oxbowd       {a!r}\n  redis-server {b!r}")

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
            self.good.update(self.full(sent) for sent, x in zip(self.queued, ours) if x[:1] != b"-")
        else:
            self.same(c, full, a, b)
        self.all[full] += 1
        self.good[full] += a[:1] != b"-" and a != b"+QUEUED\r\n"

    def left_out(self, c, full, queueing):
        if is_open(c):
            return True
        reload = [word.upper() for word in c] == [b"DEBUG", b"RELOAD"]
        return reload and self.args.memory or queueing and (full in ALONE or reload)

    def round(self):
        self.choice.look(sum(self.all.values()) / self.args.commands)
        batch = []
        while len(batch) < PIPELINE:
            batch += self.choice.next()
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
            if queueing and self.rng.random() < 0.1:
                out.append([b"EXEC"])
                queueing = False
        out += [self.rng.choice([[b"EXEC"], [b"DISCARD"]])] if queueing else []
        self.both(out)

    def both(self, sent):
        for client in self.pair:
            client.send(sent)
        for c in sent:
            try:
                a, b = (client.reply() for client in self.pair)
            except (EOFError, ConnectionError) as err:
                self.ended(f"{text(c)}: {err}")
            self.history.append(f"{text(c)} -> {a[:100]!r}")
            self.compare(c, a, b)



def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("oxbowd", type=os.path.abspath)
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
    # What lags behind depends on the first two as well.
    print(f"OXBOW_SEED={args.seed} (--commands {args.commands} --least {args.least}{' --memory' * args.memory})")
    rng = random.Random(args.seed)
    words = Words(rng, args.memory)
    table = {}
    for family in args.families.split(","):
        table.update(FAMILIES[family](words))
    where = tempfile.mkdtemp(prefix="oxbow-differ-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    both = ["--enable-debug-command", "yes", "--slowlog-log-slower-than", "-1", "--aclfile", FILE]  # a machine may be slow
    memory = ["--db"] + [word for n in range(16) for word in (str(n), "memory")] if args.memory else []
    files = [("server.conf", b""), (FILE, b"user default on nopass ~* &* +@all\n")]

    def started(where):
        return (Server("ours", lambda path, home: [args.oxbowd, "server.conf", "--port", "0", "--unixsocket", path, "--dir",
                                                   home, "--appendfsync", "no", *both, *memory], where, files),
                Server("theirs", lambda path, home: [redis, "server.conf", "--port", "0", "--unixsocket", path, "--save", "",
                                                     "--appendonly", "no", "--hz", "500", *both], where, files))

    ours, theirs = started(where)
    try:
        lists = [listed(s) for s in (ours, theirs)]
        known = differ_alike.KNOWN.names = lists[0] & lists[1]
        names = sorted(n for n in table if n.encode() in lists[0] or n[0] == "_")
        if "inside" in args.families.split(","):
            others = [name for name in names if name[0] != "_"]
            for name in ("command|getkeys", "command|getkeysandflags"):
                table[name] = lambda: command(rng, table, others)
                names.append(name)
        differ = Differ((ours, theirs), rng, names, table, {name.decode() for name in known}, args,
                        lambda: started(tempfile.mkdtemp(dir=where)))
        counting = counted({name.decode() for name in known} if args.families == ",".join(FAMILIES) else names)
        differ.choose(counting, differ_forms.forms(words, table))
        start = time.time()
        while sum(differ.all.values()) < args.commands:
            differ.step()
        report(differ, args, counting, time.time() - start)
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


def counted(names):
    """Those whose successes count: not what has subcommands and does nothing itself, nor what only prepares others."""
    containers = {name.split("|")[0] for name in names if "|" in name} - {"command"}
    return sorted(name for name in names if name not in containers and name[0] != "_")


def report(differ, args, counting, seconds):
    """What there was, and whether each command that both have was carried out often enough."""
    total, good = sum(differ.all.values()), sum(differ.good.values())
    print(f"differ: {total} commands, {100 * good // total} of a hundred succeeded, {seconds:.0f} s, no difference")
    print("differ: " + ", ".join(f"{n} {differ.good[n]}/{differ.all[n]}" for n in sorted(differ.all)))
    print("differ: let pass by the list in docs/RESP.md: " + ", ".join(f"{n} {differ.met[n]}" for n in sorted(differ.met)))
    often = [name for name in counting if name not in SELDOM]
    last = min(often, key=lambda name: differ.good[name])
    print(f"differ: {last} has succeeded least, {differ.good[last]} times of {differ.all[last]}; {args.least} were wanted of each of "
          f"{len(often)} commands, of others none: " +
          (", ".join(f"{name} {differ.good[name]}/{differ.all[name]}" for name in counting if name in SELDOM) or "-"))
    few = [f"{name} {differ.good[name]}/{differ.all[name]}" for name in counting
           if differ.all[name] == 0 or name in often and differ.good[name] < args.least]
    if few:
        sys.exit(f"differ: too few successes: {', '.join(few)}")
    if 100 * good < SHARE * total:
        sys.exit(f"differ: less than {SHARE} of a hundred succeeded")


if __name__ == "__main__":
    sys.exit(main())
