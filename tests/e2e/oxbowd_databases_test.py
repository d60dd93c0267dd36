#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Databases with policies of their own: what they are said to be at the start, and what a power cut
leaves of each, with the shim below the store that drops what no sync covers.

    oxbowd_databases_test.py PROGRAM POWERCUT [TEST...]
"""
import os
import random
import socket
import sys
import threading
import time
import unittest
from pathlib import Path

import oxbowd_test as base
from rig import resp
from rig.device import Power
from rig.gateway import Gateway

SHIM = ""
SEED = int(os.environ.get("OXBOW_SEED", "0")) or random.SystemRandom().getrandbits(32)
LOOSE = ["--db", "1", "sync", "no"]
STRICT_KINDS = ("direct", "moved", "copied", "multi", "script")


class Worker(threading.Thread):
    """Writes through a connection of its own until the server is gone, and notes what was acknowledged:
    of which kind, and which numbers."""

    def __init__(self, connect, name, kinds):
        super().__init__()
        self.client = connect()
        self.name_ = name
        self.kinds = kinds
        self.done = {kind: -1 for kind in kinds}  # the newest that was acknowledged
        self.error = None

    def run(self):
        try:
            for n in range(1 << 30):
                for kind in self.kinds:
                    getattr(self, kind)(kind + ":" + self.name_, n)
                    self.done[kind] = n
        except OSError:
            pass  # the power is gone
        except Exception as error:
            self.error = error

    def direct(self, key, n):
        """The strict database alone."""
        self.client.do("SELECT", 0)
        self.client.do("RPUSH", key, n)
        self.client.do("SELECT", 1)

    def loose(self, key, n):
        self.client.do("RPUSH", key, n)

    def moved(self, key, n):
        self.client.do("SET", f"{key}:{n}", n)
        assert self.client.do("MOVE", f"{key}:{n}", 0) == 1

    def copied(self, key, n):
        self.client.do("SET", f"{key}:{n}", n)
        assert self.client.do("COPY", f"{key}:{n}", f"{key}:{n}", "DB", 0) == 1

    def multi(self, key, n):
        self.client.do("MULTI")
        self.client.do("RPUSH", "beside:" + key, n)
        self.client.do("SELECT", 0)
        self.client.do("RPUSH", key, n)
        self.client.do("SELECT", 1)
        assert len(self.client.do("EXEC")) == 4

    def script(self, key, n):
        self.client.do("EVAL", "redis.call('select', 0); return redis.call('rpush', KEYS[1], ARGV[1])",
                       1, key, n)


class Reader(threading.Thread):
    """Looks at what others write into the strict database, and notes what it was shown."""

    def __init__(self, connect, keys):
        super().__init__()
        self.client = connect()
        self.seen = {key: -1 for key in keys}
        self.error = None

    def run(self):
        try:
            while True:
                for key in self.seen:
                    self.seen[key] = max(self.seen[key], int(self.client.do("LINDEX", key, -1) or -1))
        except OSError:
            pass
        except Exception as error:
            self.error = error


class Databases(base.Oxbowd):
    # The daemon's other tests are base's own.
    locals().update({name: None for name in dir(base.Oxbowd) if name.startswith("test_")})

    # ---- words

    def test_what_is_wrong_is_told_with_the_line_and_nothing_starts(self):
        for line, says in (("db", "has no value"), ("db 1", "takes NUMBER sync POLICY"),
                           ("db 1 sync", "takes NUMBER sync POLICY"),
                           ("db 16 memory", "'16' is no database"),
                           ("db memory", "takes NUMBER sync POLICY or NUMBER memory"),
                           ("db 1 memory 2", "takes NUMBER sync POLICY or NUMBER memory"),
                           ("db 1 memory 1 sync no", "'1' is said to be kept in memory and to have "),
                           ("db 1 sync no 1 memory", "'1' is said to be kept in memory and to have "),
                           ("db 1 sink always", "takes NUMBER sync POLICY"),
                           ("db 16 sync always", "'16' is no database"),
                           ("db -1 sync always", "'-1' is no database"),
                           ("db 1 sync sometimes", "'sometimes' is no policy"),
                           ("db 1 sync memory", "'memory' is no policy"),
                           ("db 1 sync interval", "is no interval"),
                           ("db 1 sync interval 0", "'0' is no interval"),
                           ("db 1 sync interval 3600001", "'3600001' is no interval"),
                           ("db 1 sync always 2", "takes NUMBER sync POLICY")):
            path = self.write("wrong.conf", "port 0\n" + line + "\n")
            said = base.refused(path, cwd=self.top)
            self.assertIn("wrong.conf:2: db: ", said, line)
            self.assertIn(says, said, line)
        path = self.write("wrong.conf", "journal no\ndb 3 sync no\n")
        self.assertIn("db: the policy no needs the journal", base.refused(path, cwd=self.top))
        self.assertEqual(os.listdir(self.top), ["wrong.conf"])

    def test_they_are_told_at_the_start_by_info_and_by_config_and_are_written_again(self):
        text = "# queues\ndb 0 sync always\n# caches\ndb 1 sync everysec 2 sync none\nport 0\n"
        d, client = self.start("--db", "3", "sync", "interval", "200",
                               config=self.write("c.conf", text))
        want = "0 sync always 1 sync everysec 2 sync no 3 sync interval 200"
        self.assertEqual(client.config_get("db"), {"db": want})
        self.assertIn("databases with a policy of their own: " + want, d.told())
        info = client.info("oxbow")
        self.assertEqual([info.get(f"db{n}_sync") for n in range(5)],
                         ["always", "everysec", "no", "interval 200", None])
        client.config_set("db", "2 sync interval 50")
        client.config_rewrite()
        with open(self.path("c.conf")) as file:
            self.assertEqual(file.read(), "# queues\n# caches\ndb 0 sync always 1 sync everysec "
                                          "2 sync interval 50 3 sync interval 200\nport 0\n")
        client.config_rewrite()
        self.assertEqual(d.end(), 0, d.told())
        d, client = self.start(config=self.path("c.conf"))
        self.assertEqual(client.config_get("db"), {
            "db": "0 sync always 1 sync everysec 2 sync interval 50 3 sync interval 200"})
        self.assertEqual(d.end(), 0, d.told())
        d, client = self.start(config=self.write("none.conf", "maxclients 500\n"))
        client.config_rewrite()
        with open(self.path("none.conf")) as file:
            self.assertEqual(file.read(), "maxclients 500\n")
        self.assertEqual(client.config_get("db"), {"db": ""})
        self.assertEqual(d.end(), 0, d.told())

    # ---- power cuts

    def gateway(self, *options):
        """One whose files are made: a cut is to meet a server at work."""
        server = Gateway(base.PROGRAM, Path(self.top) / f"gateway-{time.monotonic_ns()}",
                         ["--appendfsync", "always", *options], Path(SHIM))
        self.addCleanup(server.close)
        server.start()
        server.kill()
        return server

    def connect(self, server, database=0):
        client = resp.Client(socket.create_connection(("127.0.0.1", server.port), base.PATIENCE))
        self.addCleanup(client.close)
        client.do("SELECT", database)
        return client

    def work(self, server, kinds, most):
        """Has workers and a reader at it until that much is acknowledged, and takes the power away."""
        workers = [Worker(lambda: self.connect(server, 1), str(n), kinds) for n in range(4)]
        readers = [Reader(lambda: self.connect(server), [f"direct:{n}" for n in range(4)])]
        for thread in workers + readers:
            thread.start()
        base.until(lambda: server.ended() or any(thread.error for thread in workers + readers) or
                   all(min(worker.done.values()) >= most for worker in workers))
        server.cut_power(now=True)
        for thread in workers + readers:
            thread.join(base.PATIENCE)
            self.assertIsNone(thread.error)
        return workers, readers[0]

    def missing(self, server, workers, kinds, database):
        """What was acknowledged and is not there, after a start."""
        client = self.connect(server, database)
        lost = []
        for worker in workers:
            for kind in kinds:
                key = f"{kind}:{worker.name_}"
                if kind in ("moved", "copied"):
                    lost += [f"{key}:{n}" for n in range(worker.done[kind] + 1)
                             if client.do("GET", f"{key}:{n}") != b"%d" % n]
                    continue
                there = client.do("LRANGE", key, 0, -1)
                # One more may be there that nobody was told of.
                self.assertEqual(there, [b"%d" % n for n in range(len(there))], key)
                lost += [f"{key}:{n}" for n in range(len(there), worker.done[kind] + 1)]
        return lost

    def test_what_the_strict_database_acknowledged_is_there_after_a_power_cut(self):
        rng = random.Random(SEED)
        for mode in ("drop", "pages", "sectors", "drop"):
            server = self.gateway(*LOOSE)
            server.start(Power(rng.getrandbits(32), mode))
            workers, reader = self.work(server, (*STRICT_KINDS, "loose"), rng.randrange(3, 40))
            server.start()
            self.assertEqual(self.missing(server, workers, STRICT_KINDS, 0), [], (SEED, mode))
            client = self.connect(server)
            for key, n in reader.seen.items():  # what was shown is there
                self.assertGreater(client.do("LLEN", key), n, (SEED, mode, key))

    def test_the_control_loses_what_was_acknowledged_where_no_database_is_strict(self):
        server = self.gateway("--appendfsync", "no")
        server.start(Power(1, "drop"))
        workers, _ = self.work(server, STRICT_KINDS, 20)
        server.start()
        self.assertNotEqual(self.missing(server, workers, STRICT_KINDS, 0), [])

    def test_the_loose_database_does_lose_and_only_at_its_end(self):
        server = self.gateway(*LOOSE)
        server.start(Power(2, "drop"))
        loose, strict = self.connect(server, 1), self.connect(server)
        for n in range(50):
            loose.do("RPUSH", "q", n)
        strict.do("RPUSH", "q", "strict")  # takes along what was committed before it
        for n in range(50, 100):
            loose.do("RPUSH", "q", n)
        self.assertEqual(loose.do("LLEN", "q"), 100)
        server.cut_power(now=True)
        server.start()
        self.assertEqual(self.connect(server).do("LRANGE", "q", 0, -1), [b"strict"])
        self.assertEqual(self.connect(server, 1).do("LRANGE", "q", 0, -1),
                         [b"%d" % n for n in range(50)])

    def test_an_interval_of_its_own_is_kept(self):
        server = self.gateway("--appendfsync", "no", "--db", "1", "sync", "interval", "50")
        server.start(Power(3, "drop"))
        client, other = self.connect(server, 1), self.connect(server)
        client.do("RPUSH", "q", "a")

        def durable():
            info = dict(line.split(b":", 1) for line in client.do("INFO", "oxbow").split(b"\r\n")
                        if b":" in line)
            return int(info[b"store_lsn_durable"]) >= int(info[b"store_lsn_applied"])

        base.until(durable)  # by nothing but the interval
        other.do("RPUSH", "q", "b")
        server.cut_power(now=True)
        server.start()
        self.assertEqual(self.connect(server, 1).do("LRANGE", "q", 0, -1), [b"a"])
        self.assertEqual(self.connect(server).do("LRANGE", "q", 0, -1), [])

    def test_who_asks_for_the_device_has_it_in_a_loose_database(self):
        server = self.gateway(*LOOSE)
        server.start(Power(4, "drop"))
        client = self.connect(server, 1)
        client.do("RPUSH", "q", "a")
        self.assertEqual(client.do("WAITAOF", 1, 0, 0), [1, 0])
        client.do("RPUSH", "q", "b")
        server.cut_power(now=True)
        server.start()
        self.assertEqual(self.connect(server, 1).do("LRANGE", "q", 0, -1), [b"a"])


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    base.PROGRAM = os.path.abspath(sys.argv.pop(1))
    SHIM = os.path.abspath(sys.argv.pop(1))
    print(f"seed {SEED} (OXBOW_SEED)")
    unittest.main(verbosity=2)
