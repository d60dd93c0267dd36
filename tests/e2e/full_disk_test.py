#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A store on a file system that is really full: pushes are refused, what is there can be read, popped
and trimmed, pushing comes back by itself, and the store is sound at every step. Needs the right to
mount; exits with 77 where there is none.

    full_disk_test.py PROGRAM [TEST...]
"""
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

PROGRAM = ""
FULL = b"OXBOW_ENOSPC"


class FullDiskTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="oxbow-full-")
        self.addCleanup(folder.cleanup)
        self.mount = Path(folder.name)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "oxbow-test", str(self.mount)],
                       check=True)
        self.addCleanup(subprocess.run, ["umount", str(self.mount)], check=True)
        self.store = self.mount / "store"

    def oxbow(self, *args: str, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run([PROGRAM, "-d", str(self.store), *args], input=stdin,
                              capture_output=True, timeout=60, check=False)

    def works(self, *args: str, stdin: bytes | None = None) -> bytes:
        done = self.oxbow(*args, stdin=stdin)
        self.assertEqual(done.returncode, 0, (args, done.stderr))
        return done.stdout

    def sound(self) -> None:
        report = json.loads(self.works("check", "--json"))
        self.assertEqual((report["verdict"], report["findings"]), ("sound", 0))

    def fill(self, *command: str, value: bytes) -> int:
        """Stores values until one is refused; how many were acknowledged."""
        for count in range(10000):
            done = self.oxbow(*command, stdin=b"%d " % count + value)
            if done.returncode != 0:
                self.assertIn(FULL, done.stderr)
                return count
        self.fail("the disk never got full")

    def fill_rest(self) -> Path:
        """Somebody else takes the last byte."""
        path = self.mount / "somebody-elses"
        with open(path, "wb", buffering=0) as f:
            for step in (65536, 4096, 1):
                try:
                    while f.write(bytes(step)) == step:
                        pass
                except OSError:
                    pass
        return path

    def test_a_list_can_be_emptied_and_filled_again(self) -> None:
        for size in (20000, 300000):
            count = self.fill("push", "k", "--stdin", value=b"x" * size)
            self.assertGreater(count, 4)
            self.fill_rest()
            self.assertIn(FULL, self.oxbow("push", "k", "--stdin", stdin=b"y" * size).stderr)
            self.sound()
            for expected in range(count):
                got = self.works("pop", "k")
                self.assertEqual((int(got.split()[0]), len(got.split()[1])), (expected, size))
            (self.mount / "somebody-elses").unlink()
            self.works("push", "k", "there is room again")
            self.assertEqual(self.works("pop", "k"), b"there is room again\n")
            self.sound()

    def test_room_that_others_give_back_is_taken(self) -> None:
        self.works("push", "k", "first")
        other = self.fill_rest()
        count = self.fill("push", "k", "--stdin", value=b"x" * 20000)
        other.unlink()
        self.works("push", "k", "after")
        self.assertEqual(json.loads(self.works("len", "k", "--json")), {"length": count + 2})
        self.sound()

    def test_a_stream_can_be_trimmed_and_its_group_acked(self) -> None:
        self.works("group", "create", "s", "g", "--make-stream")
        value, ids = "x" * 20000, []
        while True:
            done = self.oxbow("add", "s", "f", value)
            if done.returncode != 0:
                self.assertIn(FULL, done.stderr)
                break
            ids.append(done.stdout.split()[-1].decode())
        self.fill_rest()
        rows = json.loads(self.works("read", "s", "--json"))
        self.assertEqual([row["id"] for row in rows], ids)
        self.works("group", "read", "s", "g", "c", "--count", "5")
        self.works("group", "ack", "s", "g", *ids[:5])
        self.works("del", "s")
        self.sound()
        for _ in range(50):  # what it held is reaped in steps
            done = self.oxbow("add", "s", "f", value)
            if done.returncode == 0:
                break
        self.assertEqual(done.returncode, 0, done.stderr)
        self.sound()

    def test_no_store_is_left_half_made(self) -> None:
        other = self.fill_rest()
        self.assertIn(FULL, self.oxbow("push", "k", "v").stderr)
        other.unlink()
        self.works("push", "k", "v")
        self.assertEqual(self.works("range", "k"), b"v\n")
        self.sound()


def may_mount() -> bool:
    with tempfile.TemporaryDirectory(prefix="oxbow-full-") as folder:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "oxbow-test", folder],
                              capture_output=True, check=False)
        return done.returncode == 0 and subprocess.run(["umount", folder],
                                                       check=False).returncode == 0


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv[1])
    if not may_mount():
        print("full_disk_test: skipped: no right to mount a file system here")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1] + sys.argv[2:])
