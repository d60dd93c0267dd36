#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What was acknowledged under each policy is there after kill -9 and after a power cut under load, as far
as the policy promises it; and what is there is a beginning of what was done.

    oxbowd_policies_test.py PROGRAM POWERCUT [TEST...]

The writers note each acknowledgement. Beside them somebody asks the server what it has on the device:
what was acknowledged before the number that has got there must survive a power cut under any policy.
"""
import os
import random
import socket
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

from rig import resp
from rig.device import Power
from rig.gateway import Gateway

PROGRAM = ""
SHIM = ""
SEED = int(os.environ.get("OXBOW_SEED", "0")) or random.SystemRandom().getrandbits(32)
PATIENCE = 60
WRITERS = 4
POLICIES = ("always", "everysec", "no")


def step(who: str, n: int) -> bytes:
    """What one step does, in this order; n counts from 1."""
    return b"".join(resp.command(*args) for args in (
        ("RPUSH", f"list:{who}", n),
        ("XADD", f"stream:{who}", f"{n}-0", "n", n),
        ("INCR", f"count:{who}"),
        ("LMOVE", f"list:{who}", f"moved:{who}", "LEFT", "RIGHT"),
        ("HSET", f"hash:{who}", n, n),
        ("XREADGROUP", "GROUP", "g", "c", "COUNT", 1, "STREAMS", f"stream:{who}", ">"),
        ("XACK", f"stream:{who}", "g", f"{n}-0")))


REPLIES = 7


def expected(n: int) -> list[object]:
    entry = b"%d-0" % n
    return [1, entry, n, b"%d" % n, 1, [[None, [[entry, [b"n", b"%d" % n]]]]], 1]


class Writer(threading.Thread):
    """Steps through a connection of its own, some of them at once, until the server is gone."""

    def __init__(self, connect, who, rng):
        super().__init__()
        self.client = connect()
        self.who = who
        self.rng = rng
        self.done = 0  # the newest step that was acknowledged
        self.error = None

    def run(self):
        try:
            self.client.do("XGROUP", "CREATE", f"stream:{self.who}", "g", "0", "MKSTREAM")
            while True:
                count = self.rng.choice((1, 1, 2, 16))
                self.client.send(b"".join(step(self.who, self.done + i + 1) for i in range(count)))
                for _ in range(count):
                    said = [self.client.read() for _ in range(REPLIES)]
                    if isinstance(said[5], list):
                        said[5][0][0] = None  # the key
                    if said != expected(self.done + 1):
                        raise AssertionError(f"{self.who}: {said} for {expected(self.done + 1)}")
                    self.done += 1
        except OSError:
            pass  # the server is gone
        except Exception as error:
            self.error = error


class Watcher(threading.Thread):
    """Notes how far the writers had got before what is on the device."""

    def __init__(self, connect, writers):
        super().__init__()
        self.client = connect()
        self.writers = writers
        self.safe = [0] * len(writers)
        self.rounds = 0
        self.error = None

    def lsns(self):
        info = dict(line.split(b":", 1) for line in self.client.do("INFO", "oxbow").split(b"\r\n")
                    if b":" in line)
        return int(info[b"store_lsn_applied"]), int(info[b"store_lsn_durable"])

    def run(self):
        try:
            while True:
                done = [writer.done for writer in self.writers]
                applied = self.lsns()[0]
                while self.lsns()[1] < applied:
                    time.sleep(0.005)
                self.safe = done
                self.rounds += 1
        except OSError:
            pass
        except Exception as error:
            self.error = error


def found(client, who):
    """How often each part of a step was done, in the order of a step, from what is there. Each is checked
    to be whole and in order."""
    moved = [int(value) for value in client.do("LRANGE", f"moved:{who}", 0, -1)]
    waits = [int(value) for value in client.do("LRANGE", f"list:{who}", 0, -1)]
    entries = [int(entry.split(b"-")[0]) for entry, _ in client.do("XRANGE", f"stream:{who}", "-", "+")]
    fields = sorted(int(field) for field in client.do("HKEYS", f"hash:{who}"))
    for numbers in (moved + waits, entries, fields):
        if numbers != list(range(1, len(numbers) + 1)):
            raise AssertionError(f"{who}: not one after the other: {numbers}")
    pushed, count = len(moved) + len(waits), int(client.do("GET", f"count:{who}") or 0)
    read = acked = 0
    if client.do("EXISTS", f"stream:{who}"):
        for group in client.do("XINFO", "GROUPS", f"stream:{who}"):
            facts = dict(zip(group[::2], group[1::2]))
            read = int(facts[b"last-delivered-id"].split(b"-")[0])
            acked = read - facts[b"pending"]
    return [pushed, len(entries), count, len(moved), len(fields), read, acked]


def judge(parts, least, who):
    """What is wrong with what is there of a writer whose steps up to `least` must be there."""
    faults = []
    if any(later > before for before, later in zip(parts, parts[1:])) or parts[0] - parts[-1] > 1:
        faults.append(f"{who}: {parts} is no beginning of what was done")
    if parts[-1] < least:
        faults.append(f"{who}: {parts[-1]} of {least} acknowledged steps are there")
    return faults


class Policies(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.lives = 0

    def gateway(self, policy):
        server = Gateway(PROGRAM, Path(self.folder.name) / f"gateway-{policy}",
                         ["--appendfsync", policy], Path(SHIM))
        self.addCleanup(server.close)
        server.start()
        server.kill()  # its files are made: a cut is to meet a server at work
        return server

    def connect(self, server):
        client = resp.Client(socket.create_connection(("127.0.0.1", server.port), PATIENCE))
        self.addCleanup(client.close)
        return client

    def life(self, server, rng, end, power=None, rounds=0):
        """A life under load that `end` ends, and the next start. The writers and the watcher of it."""
        self.lives += 1
        server.start(power)
        writers = [Writer(lambda: self.connect(server), f"{self.lives}-{n}", random.Random(rng.getrandbits(32)))
                   for n in range(WRITERS)]
        watcher = Watcher(lambda: self.connect(server), writers)
        most = rng.randrange(20, 300)
        for thread in (*writers, watcher):
            thread.start()
        last = time.monotonic() + PATIENCE
        while not (watcher.rounds >= rounds and min(writer.done for writer in writers) >= most):
            self.assertLess(time.monotonic(), last, "the writers do not get on, or nothing gets to the device")
            self.assertFalse(server.ended())
            self.assertEqual([thread.error for thread in (*writers, watcher) if thread.error], [])
            time.sleep(0.002)
        end()
        for thread in (*writers, watcher):
            thread.join(PATIENCE)
            self.assertFalse(thread.is_alive())
            self.assertIsNone(thread.error)
        server.start()
        return writers, watcher

    def faults(self, server, writers, least):
        """And how many acknowledged steps are gone."""
        client = self.connect(server)
        told, lost = [], 0
        for writer, n in zip(writers, least):
            parts = found(client, writer.who)
            told += judge(parts, n, writer.who)
            lost += max(0, writer.done - parts[-1])
        return told, lost

    def test_the_end_of_the_process_takes_nothing_under_any_policy(self):
        rng = random.Random(SEED)
        for policy in POLICIES:
            server = self.gateway(policy)
            for _ in range(3):
                writers, _ = self.life(server, rng, server.kill)
                told, lost = self.faults(server, writers, [writer.done for writer in writers])
                self.assertEqual((told, lost), ([], 0), (SEED, policy))
                server.kill()

    def cut(self, policy, modes, rounds, honest=True):
        """Lives that a power cut ends; how many acknowledged steps they lost together."""
        rng = random.Random(SEED + 1)
        server = self.gateway(policy)
        lost = 0
        for mode in modes:
            writers, watcher = self.life(server, rng, lambda: server.cut_power(now=True),
                                         Power(rng.getrandbits(32), mode), rounds)
            least = [writer.done for writer in writers] if policy == "always" else watcher.safe
            told, gone = self.faults(server, writers, least)
            self.assertEqual(told == [], honest, (SEED, policy, mode, told))
            lost += gone
            server.kill()
        return lost

    def test_always_a_power_cut_takes_nothing(self):
        self.assertEqual(self.cut("always", ("drop", "pages", "sectors", "drop"), 1), 0)

    def test_everysec_a_power_cut_takes_the_end_and_never_what_the_interval_has_brought_to_the_device(self):
        # Nothing but the interval syncs here; and the cut does take something: it is one.
        self.assertGreater(self.cut("everysec", ("drop", "pages", "sectors", "drop"), 2), 0)

    def test_no_a_power_cut_takes_the_end(self):
        self.assertGreater(self.cut("no", ("drop", "pages", "sectors", "drop"), 0), 0)

    def test_the_control_a_device_whose_syncs_do_nothing_takes_what_always_acknowledged(self):
        os.environ["POWERCUT_LIE"] = "all"
        self.addCleanup(os.environ.pop, "POWERCUT_LIE")
        self.assertGreater(self.cut("always", ("drop",), 1, honest=False), 0)

    def test_the_control_of_who_judges(self):
        whole = [7, 7, 7, 7, 7, 7, 7]
        self.assertEqual(judge(whole, 7, "w"), [])
        self.assertEqual(judge([8, 8, 7, 7, 7, 7, 7], 7, "w"), [])
        for parts, least in ((whole, 8), ([7, 7, 7, 6, 7, 7, 7], 0), ([9, 8, 7, 7, 7, 7, 7], 7), ([8, 7, 7, 7, 7, 7, 6], 0)):
            self.assertEqual(len(judge(parts, least, "w")), 1, parts)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    SHIM = os.path.abspath(sys.argv.pop(1))
    print(f"seed {SEED} (OXBOW_SEED)")
    unittest.main(verbosity=2)
