#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The benchmark itself: that it measures what it says, and slows all alike. No figure is judged here.

    bench_test.py PROGRAM SLOWSYNC_SO [TEST...]
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

PROGRAM = SHIM = ""


class Bench(unittest.TestCase):
    def setUp(self):
        self.top = tempfile.mkdtemp(prefix="oxbow-bench-test-")

    def tearDown(self):
        self.assertEqual(os.listdir(self.top), [], "left behind")
        shutil.rmtree(self.top)

    def bench(self, *args, code=0, **env):
        done = subprocess.run([PROGRAM, "bench", self.top, "--quick", *args], timeout=300,
                              capture_output=True, env={**os.environ, **env})
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stdout.decode(), done.stderr.decode()

    def rows(self, *args, **env):
        out, _ = self.bench("--json", *args, **env)
        return {r["who"]: r for r in json.loads(out)}

    def test_a_slowed_sync_slows_every_contender(self):
        rows = self.rows("--only", "durable push, 1 ", "--sync-delay", "50", OXBOW_SLOWSYNC=SHIM)
        self.assertEqual(set(rows), {"oxbow", "write+fdatasync", "LMDB", "SQLite WAL FULL",
                                     "Redis AOF always"})
        for who, row in rows.items():
            if row["state"] == "absent":
                continue
            with self.subTest(who):
                self.assertEqual(row["state"], "measured")
                self.assertGreaterEqual(row["p50_us"], 50000)
                self.assertLessEqual(row["per_s"], 20.5)
                self.assertGreater(row["per_s"], 1)

    def test_what_is_told_of_a_durable_push_fits_together(self):
        rows = self.rows("--only", "durable push, 1 ")
        own = rows["oxbow"]
        self.assertEqual(own["state"], "measured")
        self.assertEqual(own["ratio"], 1)
        self.assertLessEqual(own["p50_us"], own["p999_us"])
        self.assertLessEqual(own["p999_us"], own["worst_us"])
        self.assertGreater(own["device_bytes_per_message"], 100)
        self.assertGreater(own["messages_per_sync"], 0)
        self.assertLessEqual(own["messages_per_sync"], 1.05, "one producer waits for each")

    def test_one_that_is_not_installed_is_skipped_by_name(self):
        out, _ = self.bench("--only", "durable push, 1 ", PATH="/nonexistent")
        line = next(line for line in out.splitlines() if "Redis" in line)
        self.assertIn("skipped: not installed", line)
        self.assertLessEqual(max(map(len, out.splitlines())), 110, "a table that is read")

    def test_large_cases_find_their_backlog_after_a_crash(self):
        out, _ = self.bench("--only", "10M: open after", "--large", "--json")
        row = json.loads(out)[0]
        self.assertEqual(row["state"], "measured")
        self.assertEqual(row["case"], "1M: open after kill -9", "the size that was measured")
        self.assertGreater(row["p50_us"], 0)
        _, told = self.bench("--only", "10M: open after", code=2)
        self.assertIn("no case is called like", told)

    def test_what_a_queue_can_be_given_is_measured_beside_a_plain_one(self):
        rows = self.rows("--only", "stream add")
        self.assertEqual(len(rows), 6)
        rows |= self.rows("--only", "waiting: a sequence")
        for who, row in rows.items():
            with self.subTest(who):
                self.assertEqual(row["state"], "measured")

    def test_without_the_library_nothing_is_slowed_in_silence(self):
        _, told = self.bench("--sync-delay", "5", code=3, OXBOW_SLOWSYNC="/none/slowsync.so")
        self.assertIn("slowsync.so", told)
        _, told = self.bench("--sync-delay", "900", code=3, SLOWSYNC_US="900000")
        self.assertIn("does not work here", told)
        self.bench("--sync-delay", "1001", code=2)


if __name__ == "__main__":
    PROGRAM, SHIM = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])
