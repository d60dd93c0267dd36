#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The daemon on a device that is full, fails, or has lost something: what clients are told, and that what
was acknowledged and is intact is served.

    oxbowd_trouble_test.py PROGRAM [TEST...]
"""
import fcntl
import os
import random
import re
import signal
import struct
import subprocess
import sys
import unittest

import oxbowd_test as base
import redis

SEED = int(os.environ.get("OXBOW_SEED", "0")) or random.SystemRandom().getrandbits(32)
OOM = "OOM command not allowed when used memory > 'maxmemory'."
DAMAGED = "MISCONF stored data failed its checksum"
IOC_SHUTDOWN = 0x8004587D  # _IOR('X', 125, u32): a file system that is cut off its device
PAGE = 4096


class Trouble(base.Oxbowd):
    # The daemon's other tests are base's own.
    locals().update({name: None for name in dir(base.Oxbowd) if name.startswith("test_")})

    def losses(self, client):
        return client.info("oxbow")["store_losses"]

    def test_a_damaged_store_is_served_and_tells_what_it_lost(self):
        draw = random.Random(SEED)
        d, c = self.start("--appendfsync", "always")
        wanted = {}
        pipe = c.pipeline(transaction=False)
        for stream in range(20):
            for n in range(1000):
                pipe.xadd(f"s{stream}", {"n": n, "pad": "x" * 60}, id=f"{n + 1}-0")
        for n in range(2000):
            wanted[f"k{n}"] = f"{n}" * 20
            pipe.set(f"k{n}", wanted[f"k{n}"])
        pipe.execute()
        self.assertEqual(self.losses(c), 0)
        self.assertEqual(c.execute_command("OXBOW LOSSES", "LIST"), [])
        self.assertEqual(d.end(), 0)  # all of it is in the data file now

        path = self.path("store/data.mdb")
        with open(path, "r+b") as f:
            data = f.read()
            held = [n for n in range(8, len(data) // PAGE) if b"x" * 60 in data[n * PAGE:][:PAGE]]
            for page in draw.sample(held, len(held) // 20):
                f.seek(page * PAGE + 32)
                f.write(draw.randbytes(PAGE - 32))

        # Damage of the tree is mended before it is served, that of values when they were met.
        d, c = self.start("--appendfsync", "always", "--enable-debug-command", "local")
        met = self.read_all(c, wanted)
        self.assertEqual(c.info("oxbow")["store_values_bad"] > 0, met > 0)
        if draw.random() < 0.5:
            self.assertTrue(c.execute_command("DEBUG", "RELOAD"))
        else:
            self.assertEqual(d.end(), 0)
            d, c = self.start("--appendfsync", "always")
        count = self.losses(c)
        self.assertGreater(count, 0, "what was hit held nothing: this test shows nothing")
        told = c.execute_command("OXBOW LOSSES", "LIST", "COUNT", 1000)
        self.assertEqual(len(told), count)
        told = [dict(zip(one[::2], one[1::2])) for one in told]
        self.assertIn(b"rebuilt", [one[b"kind"] for one in told])
        self.assertEqual(self.read_all(c, wanted), 0)
        self.account(c, wanted, told)

        # It goes on, and the record stays until somebody has seen it.
        self.assertTrue(c.xadd("s0", {"after": "1"}))
        self.assertEqual(d.end(), 0)
        d, c = self.start()
        self.assertEqual(self.losses(c), count)
        self.assertIn(f"losses on record: {count}: OXBOW LOSSES LIST", d.told())
        self.assertEqual(c.execute_command("OXBOW LOSSES", "FORGET"), b"OK")
        self.assertEqual(d.end(), 0)
        d, c = self.start()
        self.assertEqual(self.losses(c), 0)
        self.assertNotIn("losses on record", d.told())

    def read_all(self, client, wanted):
        """How many reads met damage. What is given is what was written."""
        met = 0
        for stream in range(20):
            for n in range(1, 1001, 10):
                try:
                    got = client.xrange(f"s{stream}", f"{n}-0", f"{n + 9}-0")
                except redis.exceptions.ResponseError as error:
                    self.assertEqual(str(error), DAMAGED)
                    met += 1
                    continue
                for entry, fields in got:
                    at = int(entry.split(b"-")[0]) - 1
                    self.assertEqual(fields, {b"n": b"%d" % at, b"pad": b"x" * 60}, entry)
        for key, value in wanted.items():
            try:
                self.assertIn(client.get(key), (None, value.encode()))
            except redis.exceptions.ResponseError as error:
                self.assertEqual(str(error), DAMAGED)
                met += 1
        return met

    def account(self, client, wanted, told):
        """Each stream that lacks entries is on record with their number, or without if nobody can know it;
        so are names that are gone."""
        of_streams, vague = {}, set()
        for one in told:
            if one[b"kind"] == b"entries" and one[b"entries"] is not None:
                of_streams[one[b"key"]] = of_streams.get(one[b"key"], 0) + one[b"entries"]
            elif one[b"kind"] in (b"entries", b"key"):
                vague.add(one[b"key"])
        nameless = any(one[b"kind"] in (b"names", b"orphan", b"database") for one in told)
        lacks = 0
        for stream in range(20):
            name, length = f"s{stream}".encode(), client.xlen(f"s{stream}")
            self.assertEqual(length, len(client.xrange(name)))
            lacks += 1000 - length
            if length < 1000 and name not in vague and not (length == 0 and nameless):
                self.assertEqual(of_streams.get(name), 1000 - length, (name, told))
        gone = [key for key in wanted if client.get(key) is None]
        self.assertTrue(gone == [] or nameless or {key.encode() for key in gone} <= vague, told)
        self.assertGreater(lacks + len(gone), 0)
        self.assertLess(lacks + len(gone), 11000, "more is lost than was hit")

    def test_a_full_quota_refuses_writes_and_nothing_else(self):
        """As Redis does at maxmemory: reads and what makes room go on."""
        d, c = self.start("--appendfsync", "everysec", "--quota", "4mb")
        written = 0
        with self.assertRaises(redis.exceptions.ResponseError) as full:
            while True:
                self.assertLess(written, 10000)
                c.rpush("list", b"%d" % written + b"x" * 2000)
                written += 1
        self.assertEqual(str(full.exception), OOM)
        for command in (("SET", "k", "x" * 2000), ("XADD", "s", "*", "f", "x" * 2000),
                        ("HSET", "h", "f", "x" * 2000), ("SADD", "m", "x" * 2000),
                        ("EVAL", "return redis.call('set', 'k', ARGV[1])", 0, "x" * 2000)):
            with self.assertRaises(redis.exceptions.ResponseError, msg=command) as refused:
                for _ in range(100):  # a checkpoint may find some room yet
                    c.execute_command(*command)
            self.assertIn(OOM, str(refused.exception))
        self.assertEqual(c.llen("list"), written)
        self.assertEqual(c.lrange("list", -1, -1), [b"%d" % (written - 1) + b"x" * 2000])
        for n in range(written):
            self.assertEqual(c.lpop("list"), b"%d" % n + b"x" * 2000)
        base.until(lambda: self.takes(c))
        self.assertEqual(d.end(), 0)

    def takes(self, client):
        try:
            return client.set("again", "x" * 2000)
        except redis.exceptions.ResponseError as error:
            self.assertIn(OOM, str(error))
            return False

    def test_a_device_that_fails_acknowledges_nothing_more(self):
        if os.geteuid() != 0:
            self.skipTest("mounting needs rights")
        mount, image = self.path("device"), self.path("image")
        os.mkdir(mount)
        with open(image, "wb") as f:
            f.truncate(64 << 20)
        subprocess.run(["mkfs.ext4", "-q", image], check=True)
        subprocess.run(["mount", "-o", "loop", image, mount], check=True)
        try:
            self.fails(mount)
        finally:
            for d in self.daemons:
                d.end(signal.SIGKILL)
            subprocess.run(["umount", mount], check=True)

    def fails(self, mount):
        d, c = self.start("--appendfsync", "always", "--quota", "8mb", "--dir", f"{mount}/store")
        self.assertTrue(c.set("before", "1"))
        folder = os.open(mount, os.O_RDONLY)
        fcntl.ioctl(folder, IOC_SHUTDOWN, struct.pack("I", 2))  # nothing more reaches the device
        os.close(folder)
        said = []
        for n in range(3):
            try:
                said.append(d.client(retry=None).set(f"after{n}", "1"))
            except redis.exceptions.RedisError as error:
                said.append(str(error))
        for one in said:
            self.assertIsInstance(one, str, "acknowledged without a device")
        self.assertTrue(any(re.match("MISCONF ", one) for one in said), (said, d.told()))
        self.assertIn("nothing is acknowledged until it is opened again", d.told())
        d.end(signal.SIGKILL)
        subprocess.run(["umount", mount], check=True)
        subprocess.run(["mount", "-o", "loop", self.path("image"), mount], check=True)
        d, c = self.start("--dir", f"{mount}/store")
        self.assertEqual(c.get("before"), b"1")
        self.assertEqual(c.keys("after*"), [])
        self.assertEqual(d.end(), 0)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    print(f"OXBOW_SEED={SEED}")
    base.PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
