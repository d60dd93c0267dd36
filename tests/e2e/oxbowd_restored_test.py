#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A gateway that is made anew of a backup, and the central Redis that has gone on since: nothing is lost there, nothing is there twice.

    oxbowd_restored_test.py OXBOWD OXBOW [TEST...]
"""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import oxbowd_test as base
import oxbowd_uplink_test as uplink
from rig import certs, server

CLI = ""
ROWS = ("uplink-forward readings stream readings", "uplink-forward jobs list jobs")


class Restored(uplink.Uplink):
    # The other tests of that class are its own.
    locals().update({name: None for name in dir(uplink.Uplink) if name.startswith("test_")})

    def setUp(self):
        super().setUp()
        self.added, self.jobs = [], []

    def add(self, client, count):
        """What is kept of it here is what was acknowledged, and so what is to arrive."""
        for _ in range(count):
            n = len(self.added)
            self.added.append((client.xadd("readings", {"n": n}), n))
            self.jobs.append(b"job %d" % n)
            client.rpush("jobs", self.jobs[-1])

    def assert_arrived(self):
        self.assert_stream(uplink.target_of("readings"), self.added)
        self.assertEqual(self.there(uplink.target_of("jobs")), self.jobs)

    def cli(self, *words):
        done = subprocess.run([CLI, *words], capture_output=True, timeout=4 * base.PATIENCE)
        self.assertEqual(done.returncode, 0, done)
        return done.stderr.decode()

    def pause(self, client, verb):
        for name in ("readings", "jobs"):
            self.assertEqual(self.oxbow(client, "FORWARD", verb, name), b"OK")

    def backed_up(self, backlog, later):
        """A daemon with so much that is delivered, undelivered, and delivered after its backup."""
        d, client = self.serve(*ROWS)
        self.add(client, 20)
        self.wait_delivered(d, client, "readings", "jobs")
        if backlog:
            self.pause(client, "PAUSE")
            self.add(client, backlog)
        self.cli("backup", self.path("b"), "--server", f"127.0.0.1:{d.port}")
        if backlog:
            self.pause(client, "RESUME")
        self.add(client, later)
        self.wait_delivered(d, client, "readings", "jobs")
        self.assert_arrived()
        d.process.kill()
        d.process.wait()
        told = self.cli("restore", self.path("b"), self.path("anew"))
        self.assertIn("OXBOW UPLINK ADOPT", told)

    def stopped_by_owner(self, d, client):
        self.wait(d, "it is kept out",
                  lambda: client.info("uplink")["uplink_trouble"] == "owner")

    def taken_over(self, backlog, later):
        self.backed_up(backlog, later)
        d, client = self.serve(*ROWS, args=("--dir", self.path("anew")))
        self.stopped_by_owner(d, client)
        arrived = len(self.added)
        self.add(client, 40)  # a list counts past what the target has of the other's
        self.assert_stream(uplink.target_of("readings"), self.added[:arrived])
        self.assertEqual(self.there(uplink.target_of("jobs")), self.jobs[:arrived])
        self.oxbow(client, "UPLINK", "ADOPT")
        self.wait_delivered(d, client, "readings", "jobs")
        self.assert_arrived()
        self.add(client, 5)
        self.wait_delivered(d, client, "readings", "jobs")
        self.assert_arrived()
        self.assertEqual(client.llen("jobs"), 0)
        self.assertEqual(d.end(), 0, d.told())
        # The one that was copied is the stranger now.
        d, client = self.serve(*ROWS)
        self.stopped_by_owner(d, client)
        client.rpush("jobs", "of a ghost")
        client.xadd("readings", {"n": "of a ghost"})
        self.assert_arrived()
        self.assertEqual(d.end(), 0, d.told())

    def test_with_a_backlog_that_was_delivered_since(self):
        self.taken_over(backlog=10, later=15)

    def test_with_entries_that_are_not_in_the_backup_alone(self):
        self.taken_over(backlog=0, later=7)

    def test_with_nothing_that_has_happened_since(self):
        self.taken_over(backlog=0, later=0)

    def test_with_a_backlog_and_nothing_else(self):
        self.taken_over(backlog=12, later=0)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    server.skip_without_programs("oxbowd_made_of_a_backup_goes_on")
    base.PROGRAM, CLI = (os.path.abspath(p) for p in sys.argv[1:3])
    TOP = tempfile.mkdtemp(prefix="oxbowd-restored-certs-")
    try:
        uplink.CERTS = certs.make(Path(TOP), uplink.DEVICE)
        unittest.main(argv=sys.argv[:1] + sys.argv[3:], verbosity=2)
    finally:
        shutil.rmtree(TOP)
