#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Stores with all types of keys, filled through the daemon, are exported and imported: everything is there again, what is wrong
with a file is told, and the file is the same bytes whatever machine has written it.

    oxbowd_export_test.py OXBOWD OXBOW [TEST...]
"""
import os
import random
import resource
import shutil
import struct
import subprocess
import sys
import time
import unittest
import zlib

import oxbowd_test as base

CLI = ""
HOUR = 3600000
LONG = 200 * 86400000
SCORES = (0.0, -0.0, 1.5, -1.5, 0.1, 1e300, 5e-324, 1.7976931348623157e308, float("inf"),
          float("-inf"), 3.0000000000000004, 9007199254740993.0)


def command(*words):
    """As it stands in a file."""
    words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


def file_of(*commands, mark="oxbow-export 3"):
    """A whole file: what is wrong with it is in the commands alone."""
    body = command("ECHO", mark) + b"".join(command(*c) for c in commands)
    return body + command("ECHO", "oxbow-export-end %d %08x" % (len(commands) + 1, zlib.crc32(body)))


def dump_of(client, key):
    """A DUMP in a form that two stores with the same content share: members have an order of their own in each, and deadlines
    are compared with patience."""
    data = client.dump(key)
    kind, count = data[4], struct.unpack_from("<Q", data, 5)[0]
    at, items = 13, []
    for n in range(count):
        score = data[at:at + 8] if kind == 6 else b""
        at += len(score)
        size = struct.unpack_from("<I", data, at)[0]
        items.append(score + data[at + 4:at + 4 + size])
        at += 4 + size + (8 if data[3] == 2 and n % 2 == 1 else 0)
    if kind == 4:
        items = sorted(zip(items[::2], items[1::2]))
    return data[3], kind, sorted(items) if kind >= 5 else items


class Content:
    """All that clients can see of a store."""

    def __init__(self, daemon):
        self.when = time.monotonic()
        self.values, self.deadlines = {}, {}
        for database in range(16):
            client = daemon.client(db=database)
            for key in client.scan_iter(count=1000):
                self.look(client, (database, key), key)
        self.until = time.monotonic()

    def look(self, client, name, key):
        kind = client.type(key)
        if kind == b"stream":
            self.values[name] = client.xrange(key)
        else:
            order = client.zrange(key, 0, -1) if kind == b"zset" else None
            self.values[name] = dump_of(client, key), client.object("encoding", key), order
        left = client.pttl(key)
        if left >= 0:
            self.deadlines[name] = left
        if kind == b"hash":
            fields = client.hkeys(key)
            for first in range(0, len(fields), 500):
                some = fields[first:first + 500]
                for field, left in zip(some, client.execute_command(
                        "HPTTL", key, "FIELDS", len(some), *some)):
                    if left >= 0:
                        self.deadlines[(*name, field)] = left

    def differs(self, before):
        """What is not as it was before."""
        for name in {*self.values, *before.values}:
            if self.values.get(name) != before.values.get(name):
                return "value %s: %.300r is now %.300r" % (name, before.values.get(name), self.values.get(name))
        passed = (self.until - before.when) * 1000 + 1000
        for name in {*self.deadlines, *before.deadlines}:
            old, new = before.deadlines.get(name), self.deadlines.get(name)
            if old is None or new is None or not old - passed <= new <= old:
                return "deadline %.300r: %s is now %s" % (name, old, new)
        return None


class Export(base.Oxbowd):
    # The daemon's other tests are base's own.
    locals().update({name: None for name in dir(base.Oxbowd) if name.startswith("test_")})

    def oxbow(self, *args, stdin=None, code=0, **kw):
        done = subprocess.run([CLI, *args], input=stdin, capture_output=True,
                              timeout=8 * base.PATIENCE, **kw)
        self.assertEqual(done.returncode, code, (args, done.stdout[:300], done.stderr))
        return done

    def export(self, name="store", *options):
        return self.oxbow("-d", self.path(name), "export", *options).stdout

    def import_(self, name, data, **kw):
        return self.oxbow("-d", self.path(name), "import", stdin=data, **kw).stderr.decode()

    def serve(self, name):
        return self.start("--dir", self.path(name))

    def moved(self, fill, *options):
        """Fills a store, moves it, and compares."""
        d, client = self.serve("store")
        fill(client, d)
        before = Content(d)
        self.assertEqual(d.end(), 0, d.told())
        data = self.export("store", *options)
        self.import_("other", data)
        d, client = self.serve("other")
        after = Content(d)
        self.assertIsNone(after.differs(before))
        return before, data, d, client

    # ---- what moves

    def some_bytes(self, rng):
        kind = rng.randrange(8)
        if kind == 0:
            return b""
        if kind == 1:
            return str(rng.randrange(-1 << 63, 1 << 63)).encode()
        if kind == 2:
            return rng.randbytes(rng.choice((65, 257, 385, 5000, 70000)))
        return rng.randbytes(rng.randrange(1, 24))

    def some_hash(self, rng, client, key):
        fields = {self.some_bytes(rng): self.some_bytes(rng) for _ in range(rng.choice((1, 5, 100, 700)))}
        client.hset(key, mapping=fields)
        for field in fields if rng.random() < 0.3 else rng.sample(sorted(fields), len(fields) // 9):
            client.execute_command("HPEXPIRE", key, rng.randrange(HOUR, LONG), "FIELDS", 1, field)

    def some_key(self, rng, client, key):
        kind = rng.randrange(6)
        if kind == 0:
            client.set(key, self.some_bytes(rng))
        elif kind == 1:
            client.rpush(key, *(self.some_bytes(rng) for _ in range(rng.choice((1, 20, 300)))))
        elif kind == 2:
            self.some_hash(rng, client, key)
        elif kind == 3:
            whole = rng.random() < 0.5
            client.sadd(key, *(rng.randrange(1 << 40) if whole else self.some_bytes(rng)
                               for _ in range(rng.choice((1, 40, 600)))))
        elif kind == 4:
            client.zadd(key, {self.some_bytes(rng): rng.choice((*SCORES, rng.uniform(-1e6, 1e6)))
                              for _ in range(rng.choice((1, 30, 400)))})
        else:
            for _ in range(rng.randrange(1, 9)):
                client.xadd(key, {self.some_bytes(rng) or b"f": self.some_bytes(rng)})
        if rng.random() < 0.3:
            client.pexpire(key, rng.randrange(HOUR, LONG))

    def fill_by_chance(self, seed):
        rng = random.Random(seed)

        def fill(_, d):
            for database in rng.sample(range(16), 4):
                client = d.client(db=database)
                names = {rng.randbytes(rng.choice((0, 1, 3, 40, 3000))) for _ in range(25)}
                for name in sorted(names):
                    self.some_key(rng, client, name)
        return fill

    def test_stores_of_all_types_come_whole(self):
        seed = int(os.environ.get("OXBOW_SEED", "1"))
        print(f"seed {seed}")
        kinds = set()
        for n, options in enumerate(((), ("--redis",), ())):
            before, _, d, _ = self.moved(self.fill_by_chance(seed * 10 + n), *options)
            kinds |= {v[0][1] if isinstance(v, tuple) else 2 for v in before.values.values()}
            self.assertTrue(any(len(name) == 3 for name in before.deadlines))
            self.assertEqual(d.end(), 0, d.told())
            shutil.rmtree(self.path("store"))
            shutil.rmtree(self.path("other"))
        self.assertEqual(kinds, {1, 2, 3, 4, 5, 6})

    def test_what_expires_goes_on_expiring(self):
        def fill(client, _):
            client.hset("h", mapping={"soon": 1, "late": 2, "stays": 3})
            client.execute_command("HPEXPIRE", "h", LONG, "FIELDS", 1, "late")
            client.set("s", "v", px=LONG)
        self.moved(fill)
        d, client = self.daemons[-1], self.daemons[-1].client()
        client.execute_command("HPEXPIRE", "h", 1, "FIELDS", 1, "soon")
        base.until(lambda: sorted(client.hkeys("h")) == [b"late", b"stays"])
        client.execute_command("HPEXPIRE", "h", 60000, "FIELDS", 1, "late")
        self.assertEqual(d.end(), 0)
        data = self.export("other")
        left = [int(part.split(b"\r\n")[1]) for part in data.split(b"$8\r\nHPEXPIRE\r\n$1\r\nh\r\n")[1:]]
        self.assertEqual(len(left), 1)
        self.assertTrue(0 < left[0] <= 60000, left)
        data = file_of(("SELECT", 0), ("HSET", "h", "a", 1, "b", 2, "c", 3),
                       ("HPEXPIRE", "h", 1, "FIELDS", 1, "a"), ("HPEXPIRE", "h", HOUR, "FIELDS", 1, "b"),
                       ("SADD", "gone", "m"), ("PEXPIRE", "gone", 1))
        self.import_("third", data)
        d, client = self.serve("third")
        base.until(lambda: client.dbsize() == 1)
        base.until(lambda: client.hlen("h") == 2)
        self.assertEqual(client.hgetall("h"), {b"b": b"2", b"c": b"3"})
        self.assertLess(HOUR - 600000, client.execute_command("HPTTL", "h", "FIELDS", 1, "b")[0])

    def test_large_ones_take_little_memory(self):
        count = 300000

        def fill(client, _):
            pipe = client.pipeline(transaction=False)
            for first in range(0, count, 1000):
                pipe.hset("h", mapping={f"field {n}": f"value {n:300}" for n in range(first, first + 1000)})
                pipe.zadd("z", {f"member {n}": n * 0.1 for n in range(first, first + 1000)})
                if first % 20000 == 0:
                    pipe.execute()
            pipe.execute()
            client.hset("wide", mapping={str(n): b"x" * 1000000 for n in range(12)})
        d, client = self.start("--dir", self.path("store"), "--quota", "1G")
        fill(client, d)
        self.assertEqual(client.hlen("h"), count)
        self.assertEqual(d.end(), 0)

        with open(CLI, "rb") as file:
            program = file.read()
        # A sanitizer wants more of its own, all that there is of addresses.
        sanitized = b"__asan_init" in program or b"__tsan_init" in program

        def bounded():  # less than the fields alone
            if not sanitized:
                resource.setrlimit(resource.RLIMIT_DATA, (72 << 20, 72 << 20))
        data = self.oxbow("-d", self.path("store"), "export", self.path("file"), preexec_fn=bounded)
        self.assertIn(b"exported 3 keys", data.stderr)
        self.oxbow("-d", self.path("other"), "import", self.path("file"), preexec_fn=bounded)
        d, client = self.start("--dir", self.path("other"), "--quota", "1G")
        self.assertEqual(client.hlen("h"), count)
        seen = {}
        for key, value in client.hscan_iter("h", count=5000):
            seen[key] = value
        self.assertEqual(seen, {b"field %d" % n: b"value %300d" % n for n in range(count)})
        self.assertEqual(client.zcard("z"), count)
        self.assertEqual(client.zscore("z", "member 7"), 7 * 0.1)
        self.assertEqual(client.hlen("wide"), 12)
        self.assertEqual(client.hget("wide", "11"), b"x" * 1000000)

    # ---- the bytes

    def test_the_file_is_these_bytes_on_every_machine(self):
        d, _ = self.serve("store")
        for database, words in enumerate((("HSET", "h\x00\xff", "f", "v"), ("SADD", "s", b"\x00\r\n"),
                                          ("ZADD", "z", "0.1", "m", "-inf", "n"), ("SET", "t", ""))):
            d.client(db=database).execute_command(*words)
        self.assertEqual(d.end(), 0)
        z = (("ZADD", "z", "0.10000000000000001", "m", "-inf", "n"),
             ("ZADD", "z", "-inf", "n", "0.10000000000000001", "m"))  # members' order is the store's own
        wanted = [file_of(("SELECT", 0), ("HSET", b"h\x00\xc3\xbf", "f", "v"), ("SELECT", 1),
                          ("SADD", "s", b"\x00\r\n"), ("SELECT", 2), one, ("SELECT", 3),
                          ("SET", "t", "")) for one in z]
        data = self.export()
        self.assertIn(data, wanted)
        plain = self.export("store", "--redis")
        self.assertTrue(plain.startswith(command("ECHO", "oxbow-export 3 redis")), plain)
        self.import_("plain", plain)
        self.import_("other", data)
        self.assertIn(self.export("other"), wanted)

    def test_files_of_versions_before_are_read(self):
        for mark in ("oxbow-export 1", "oxbow-export 2"):
            name = mark[-1]
            self.import_(name, file_of(("SELECT", 0), ("RPUSH", "l", "a"), ("RPUSH", "l", "b"), ("PEXPIRE", "l", LONG),
                                       ("PEXPIRE", "gone", 5), ("SELECT", 7), ("SET", "s", "v"),
                                       ("XADD", "x", "1-1", "f", "v"),
                                       ("XSETID", "x", "1-1", "ENTRIESADDED", 1, "MAXDELETEDID", "0-0"),
                                       mark=mark))
            d, client = self.serve(name)
            self.assertEqual(client.lrange("l", 0, -1), [b"a", b"b"])
            self.assertLess(LONG - 600000, client.pttl("l"))
            self.assertEqual(d.client(db=7).xrange("x"), [(b"1-1", {b"f": b"v"})])
            self.assertIn("of that version", self.import_("new", file_of(
                ("HSET", "h", "f", "v"), mark=mark), code=3))

    # ---- what is wrong

    def refused(self, data, *texts):
        told = self.import_("bad", data, code=3)
        for text in texts:
            self.assertIn(text, told)
        self.assertTrue(told.startswith("oxbow: import: "), told)
        self.assertEqual([n for n in os.listdir(self.top) if n.startswith("bad")], [])

    def test_what_is_wrong_is_told_and_nothing_is_left_behind(self):
        hset, zadd = ("HSET", "h", "a", 1, "b", 2), ("ZADD", "z", 1, "a", 2, "b")
        for commands, *texts in (
                ((("MSET", "a", "b"),), "no command of an export", "command 2"),
                ((hset, ("HSET", "h", "c", 3, "a", 4)), "a field that was there already", "EEXIST"),
                ((("HSET", "h", "a", 1, "a", 1),), "a field that was there already"),
                ((("SADD", "s", "m", "n", "m"),), "a member that was there already"),
                ((("SADD", "s", "m"), ("SADD", "s", "m")), "a member that was there already"),
                ((zadd, ("ZADD", "z", 3, "a")), "a member that was there already"),
                ((hset, zadd, ("HSET", "h", "c", 3)), "a key that came before", "command 4"),
                ((zadd, ("RPUSH", "l", "v"), ("SADD", "z", "m")), "a key that came before"),
                ((zadd, ("SADD", "z", "m")), "EWRONGTYPE"),
                ((("SET", "s", "v"), ("SET", "s", "w")), "a key that came before"),
                ((("SELECT", 3), hset, ("SELECT", 4), hset, ("SELECT", 3), ("HSET", "h", "c", 3)), "a key that came before"),
                ((hset, ("PEXPIRE", "h", HOUR), ("HSET", "h", "c", 3)), "a key that came before"),
                ((("HPEXPIRE", "h", 5, "FIELDS", 1, "a"), hset), "not behind the key"),
                ((hset, zadd, ("HPEXPIRE", "h", 5, "FIELDS", 1, "a")), "not behind the key"),
                ((("PEXPIRE", "h", 5), hset), "not behind the key"),
                ((hset, ("HPEXPIRE", "h", 5, "FIELDS", 1, "c")), "not there", "ENOENT"),
                ((zadd, ("HPEXPIRE", "z", 5, "FIELDS", 1, "a")), "EWRONGTYPE"),
                *(((hset, ("HPEXPIRE", "h", ms, "FIELDS", 1, "a")), "no deadline of a field")
                  for ms in ("0", "-1", "", "x", "1e3", 1 << 46, 1 << 70)),
                *(((hset, ("PEXPIRE", "h", ms)), "no deadline of a key") for ms in ("0", "-1", "", "soon")),
                ((hset, ("HPEXPIRE", "h", 5, "FIELDS", 2, "a")), "no deadline of a field"),
                *(((("ZADD", "z", score, "m"),), "a score that is no number")
                  for score in ("nan", "NaN", "-nan", "", " 1", "1 ", "0x1p3", "infinity", "1e999", "1,5", "1" * 60)),
                ((("ZADD", "z", 1),), "EPARSE"), ((("ZADD", "z", 1, "m", 2),), "a score without a member"),
                ((("HSET", "h", "a"),), "EPARSE"), ((("HSET", "h", "a", 1, "b"),), "a field without a value"),
                ((("SADD", "s"),), "EPARSE"), ((("SELECT", 16),), "EPARSE"),
                ((("ECHO", "oxbow-export 3"), hset), "a mark where none may be")):
            self.refused(file_of(*commands), *texts)
        good = file_of(hset, zadd, ("SADD", "s", "m"))
        self.refused(good + b"*", "behind the last mark")
        self.refused(good + good, "behind the last mark")
        self.refused(file_of(hset, mark="oxbow-export 4"), "a version that this program does not know")
        self.refused(file_of(hset, mark="hello"), "no export")
        self.refused(command(*hset) + good, "no export")
        self.refused(good.replace(command(*zadd), b""), "not as many commands")
        self.refused(b"", "EPARSE")
        self.import_("good", good)

    def test_no_cut_and_no_flip_is_taken_for_whole(self):
        good = file_of(("SELECT", 2), ("HSET", "h", "a", 1, "b", 2), ("HPEXPIRE", "h", HOUR, "FIELDS", 1, "a"),
                       ("ZADD", "z", "0.5", "m"), ("SADD", "s", "x", "y"), ("PEXPIRE", "s", HOUR))
        rng = random.Random(int(os.environ.get("OXBOW_SEED", "1")))
        for at in sorted(rng.sample(range(len(good)), 40)):
            self.refused(good[:at], "oxbow: import: ")
            flipped = bytearray(good)
            flipped[at] ^= 1 << rng.randrange(8)
            if flipped.lower() != good.lower():  # names of commands are taken in any case
                self.refused(bytes(flipped), "oxbow: import: ")
        self.import_("good", good)

    def test_a_real_redis_takes_what_is_written_for_it(self):
        if shutil.which("redis-server") is None:
            self.skipTest("no redis-server")
        from oxbowd_cache_test import Theirs
        d, client = self.serve("store")
        client.hset("h", mapping={f"f{n}": n for n in range(700)})
        client.sadd("s", *range(300))
        client.zadd("z", {f"m{n}": score for n, score in enumerate(SCORES)})
        client.set("t", "v", px=LONG)
        wanted = [client.hgetall("h"), client.smembers("s"), client.zrange("z", 0, -1, withscores=True)]
        self.assertEqual(d.end(), 0)
        theirs = Theirs(self.top)
        self.addCleanup(theirs.end)
        theirs.ready()
        done = subprocess.run(["redis-cli", "-p", str(theirs.port), "--pipe"],
                              input=self.export("store", "--redis"), capture_output=True)
        self.assertIn(b"errors: 0", done.stdout)
        client = theirs.client()
        self.assertEqual(wanted, [client.hgetall("h"), client.smembers("s"),
                                  client.zrange("z", 0, -1, withscores=True)])
        self.assertLess(0, client.pttl("t"))


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    base.PROGRAM, CLI = (os.path.abspath(p) for p in sys.argv[1:3])
    unittest.main(argv=sys.argv[:1] + sys.argv[3:], verbosity=2)
