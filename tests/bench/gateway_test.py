#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The gateway's benchmark itself: that it measures both, and that it tells when it cannot. No figure
is judged here.

    gateway_test.py OXBOWD READ_ACK SLOWSYNC_SO [TEST...]
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
SERVER = READ_ACK = SLOWSYNC = ""


class Gateway(unittest.TestCase):
    def setUp(self):
        self.top = tempfile.mkdtemp(prefix="oxbow-gateway-test-")
        self.dir = os.path.join(self.top, "data")
        os.mkdir(self.dir)
        self.json = os.path.join(self.top, "rows")

    def tearDown(self):
        self.assertEqual(os.listdir(self.dir), [], "left behind")
        shutil.rmtree(self.top)

    def bench(self, *args, server=None, code=0):
        done = subprocess.run(
            [sys.executable, os.path.join(HERE, "gateway.py"), self.dir, "--server",
             server or SERVER, "--read-ack", READ_ACK, "--quick", "--json", self.json, *args],
            timeout=600, capture_output=True)
        self.assertEqual(done.returncode, code, done.stderr.decode())
        return done.stdout.decode(), done.stderr.decode()

    def rows(self, *args):
        out, _ = self.bench(*args)
        with open(self.json, encoding="ascii") as file:
            return json.load(file), out

    def test_each_command_is_measured_on_both(self):
        rows, out = self.rows("--only", "^everysec unix .* c50 P16 ")
        self.assertEqual(sorted({row["case"].split()[2] for row in rows}),
                         ["GET", "INCR", "LPOP", "LPUSH", "RPUSH", "SET", "XADD", "XREADGROUP"])
        self.assertEqual(len(rows), 15)  # a group has one stream, the rest one key and many
        for row in rows:
            for who in ("oxbowd", "redis"):
                rate, p50, p999 = row[who]
                self.assertGreater(rate, 0)
                self.assertLess(0, p50)
                self.assertLessEqual(p50, p999)
            self.assertAlmostEqual(row["ratio"], row["oxbowd"][0] / row["redis"][0])
            self.assertIn(row["case"], out)

    def test_each_policy_is_kept_by_both(self):
        rows, _ = self.rows("--only", "tcp INCR c1 P1 one")
        self.assertEqual([row["case"].split()[0] for row in rows], ["always", "everysec", "no"])

    def test_syncs_of_both_take_what_is_asked(self):
        rows, _ = self.rows("--only", "always unix SET c1 P1 one", "--sync-delay", "20",
                            "--slowsync", SLOWSYNC)
        for who in ("oxbowd", "redis"):
            self.assertGreaterEqual(rows[0][who][1], 20000)
        self.assertIn("/nowhere/slow", self.bench("--sync-delay", "1", "--slowsync",
                                                  "/nowhere/slow.so", code=2)[1])

    def test_memory_is_that_of_the_server(self):
        rows, _ = self.rows("--memory", "64000")
        self.assertEqual([row["who"] for row in rows], ["oxbowd", "redis"])
        redis = rows[1]
        self.assertGreater(redis["full kB"] - redis["empty kB"], 64000 * 100 // 1024)

    def test_what_cannot_be_measured_is_told(self):
        self.assertIn("no case", self.bench("--only", "SORT", code=2)[1])
        self.assertIn("no program", self.bench(server="/nowhere/oxbowd", code=2)[1])
        self.assertIn("nothing would be measured", self.bench("--rounds", "0", code=2)[1])
        _, err = self.bench("--only", "no unix GET c1 P1 one", "--option", "port=x", code=1)
        self.assertIn("oxbowd did not start", err)
        shutil.rmtree(os.path.join(self.dir, os.listdir(self.dir)[0]))


if __name__ == "__main__":
    for program in ("redis-server", "redis-benchmark"):
        if shutil.which(program) is None:
            print(f"gateway_test: skipped: {program} is not installed")
            sys.exit(77)
    SERVER, READ_ACK, SLOWSYNC = sys.argv[1:4]
    unittest.main(argv=sys.argv[:1] + sys.argv[4:])
