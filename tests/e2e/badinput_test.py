#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Stores and targets that must not be touched, with the real program and a real redis-server: what
is wrong is told, nothing is written where it must not be, and nothing is lost.

    badinput_test.py PROGRAM [TEST...]
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from collections.abc import Callable
from pathlib import Path

from rig import resp

PROGRAM = ""
PATIENCE = 60


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a store but the locks, which say who had it last."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())
            if path.name not in ("LOCK", "lock.mdb")}


class BadInputTest(unittest.TestCase):
    def setUp(self) -> None:
        self.top = Path(tempfile.mkdtemp(prefix="oxbow-bad-"))
        self.addCleanup(shutil.rmtree, self.top, ignore_errors=True)
        self.store = self.top / "store"

    def oxbow(self, *args: str, store: Path | None = None, code: int = 0) -> str:
        """Runs it; gives standard output when it is to succeed, else what it complains of."""
        done = subprocess.run([PROGRAM, "-d", str(store or self.store), *args],
                              capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, code, (args, done.stdout, done.stderr))
        return done.stdout if code == 0 else done.stderr

    def sound(self, store: Path | None = None) -> None:
        report = json.loads(self.oxbow("check", "--json", store=store))
        self.assertEqual((report["verdict"], report["findings"]), ("sound", 0))

    # ---- stores

    def test_a_store_of_another_make_is_named_and_left_as_it_is(self) -> None:
        self.oxbow("push", "k", "a", "b")
        path = self.store / "FORMAT"
        right = path.read_text(encoding="ascii")
        lines = dict(line.rsplit(" ", 1) for line in right.splitlines()[1:])
        other_order = "big" if lines["order"] == "little" else "little"
        other_word = "32" if lines["word"] == "64" else "64"
        for line, other, says in (("format", "2", "version"), ("word", other_word, "word size"),
                                  ("order", other_order, "byte order"), ("page", "16384", "page")):
            path.write_text(right.replace(f"{line} {lines[line]}\n", f"{line} {other}\n"),
                            encoding="ascii")
            before = content(self.store)
            for command in (("push", "k", "c"), ("range", "k"), ("check",), ("stat",),
                            ("export", str(self.top / "dump"))):
                said = self.oxbow(*command, code=3)
                self.assertIn("OXBOW_EFORMAT", said)
            self.assertIn(says, self.oxbow("push", "k", "c", code=3))
            self.assertEqual(content(self.store), before)
        path.write_text(right, encoding="ascii")
        self.assertEqual(self.oxbow("range", "k"), "a\nb\n")
        self.sound()

    # ---- targets

    def serve(self) -> None:
        socket = self.top / "redis.sock"
        server = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", str(socket),
                                   "--save", "", "--dir", str(self.top)],
                                  stdout=subprocess.DEVNULL)
        self.addCleanup(server.wait)
        self.addCleanup(server.terminate)
        self.target = f"unix:{socket}"
        end = time.monotonic() + PATIENCE
        while True:
            try:
                self.redis = resp.unix(str(socket))
                break
            except OSError:
                self.assertLess(time.monotonic(), end, "redis-server does not answer")
                time.sleep(0.05)
        self.addCleanup(self.redis.close)

    def carry(self, until: str, *, store: Path | None = None,
              also: Callable[[], bool] = lambda: True) -> str:
        """Runs the uplink until it has said something of that pattern, and `also` holds, and then for
        a moment in which it could do what it must not; gives what it said."""
        told = self.top / "told"
        with open(told, "w", encoding="utf-8") as log:
            uplink = subprocess.Popen([PROGRAM, "-d", str(store or self.store), "uplink", "run",
                                       self.target, "--plain"], stdout=subprocess.DEVNULL,
                                      stderr=log)
        try:
            end = time.monotonic() + PATIENCE
            while not (re.search(until, told.read_text(encoding="utf-8")) and also()):
                self.assertIsNone(uplink.poll(), told.read_text(encoding="utf-8"))
                self.assertLess(time.monotonic(), end, told.read_text(encoding="utf-8"))
                time.sleep(0.05)
            time.sleep(0.5)
        finally:
            uplink.terminate()
            uplink.wait(PATIENCE)
        return told.read_text(encoding="utf-8")

    def drain(self, *more: str, store: Path | None = None) -> None:
        self.oxbow("uplink", "run", self.target, "--plain", "--drain", *more, store=store)

    def add(self, key: str, *values: str, store: Path | None = None) -> None:
        for value in values:
            self.oxbow("add", key, "n", value, store=store)

    def values(self, key: str) -> list[str]:
        return [entry[1][1].decode() for entry in self.redis.do("XRANGE", key, "-", "+")]

    def test_a_cap_in_bytes_a_second_holds_on_a_real_link(self) -> None:
        self.serve()
        self.oxbow("identity", "dev", "board-1")
        self.oxbow("forward", "add", "s", "s", "--target", "{t}:s")
        self.add("s", *("x" * 1000 for _ in range(12)))
        began = time.monotonic()
        self.drain("--max-rate", "4k")
        took = time.monotonic() - began
        self.assertGreater(took, 1.5)  # 12 KB, of which the first batch goes at once
        self.assertEqual(len(self.values("{t}:s")), 12)

    def test_a_target_key_of_another_type_stops_its_own_forward_alone(self) -> None:
        self.serve()
        self.oxbow("identity", "dev", "board-1")
        for key in ("good", "bad"):
            self.oxbow("forward", "add", key, key, "--target", f"{{t}}:{key}")
            self.add(key, "1", "2", "3")
        self.redis.do("SET", "{t}:bad", "mine")
        self.carry("key:", also=lambda: self.values("{t}:good") == ["1", "2", "3"])
        self.assertEqual(self.values("{t}:good"), ["1", "2", "3"])
        self.assertEqual(self.redis.do("GET", "{t}:bad"), b"mine")
        self.redis.do("DEL", "{t}:bad")
        self.drain()
        self.assertEqual(self.values("{t}:bad"), ["1", "2", "3"])
        self.assertEqual(self.values("{t}:good"), ["1", "2", "3"])

    def clone(self) -> Path:
        """A device that has sent two entries, and a copy of its disk."""
        self.serve()
        self.oxbow("identity", "dev", "board-1")
        self.oxbow("forward", "add", "f", "s", "--target", "{t}:s")
        self.add("s", "1", "2")
        self.drain()
        copy = self.top / "copy"
        shutil.copytree(self.store, copy)
        return copy

    def test_a_copy_on_another_board_is_stopped_by_the_owner_key(self) -> None:
        copy = self.clone()
        self.oxbow("identity", "dev", "board-2", "--force", store=copy)
        self.add("s", "stranger", store=copy)
        self.carry("owner:", store=copy)
        self.assertEqual(self.values("{t}:s"), ["1", "2"])
        self.add("s", "3")
        self.drain()
        self.assertEqual(self.values("{t}:s"), ["1", "2", "3"])
        self.sound(copy)

    def test_a_copy_that_nothing_tells_apart_is_stopped_by_the_position(self) -> None:
        copy = self.clone()
        self.add("s", "3")
        self.drain()
        self.add("s", "stranger", store=copy)
        self.carry("(foreign|beyond):", store=copy)
        self.assertEqual(self.values("{t}:s"), ["1", "2", "3"])
        self.assertIn("stranger", self.oxbow("read", "s", store=copy))
        self.add("s", "4")
        self.drain()
        self.assertEqual(self.values("{t}:s"), ["1", "2", "3", "4"])


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv[1])
    unittest.main(argv=sys.argv[:1] + sys.argv[2:])
