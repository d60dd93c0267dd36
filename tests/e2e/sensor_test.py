# SPDX-License-Identifier: Apache-2.0
"""oxbow-sensor, seen from outside: what it stores, and what it says when something is wrong."""
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from rig import verdict

PROGRAM = ""


class SensorTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="oxbow-sensor-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.store = ("--store", str(self.folder / "store"))

    def run_it(self, *args: str, **more: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run([PROGRAM, *args], capture_output=True, text=True, timeout=60,
                              check=False, **more)  # type: ignore[call-overload,no-any-return]

    def refuses(self, *args: str, says: str, status: int = 2) -> None:
        done = self.run_it(*args)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertIn(says, done.stderr)
        self.assertEqual(done.stdout, "")

    def acknowledged(self, *args: str) -> list[list[str]]:
        read, write = os.pipe()
        done = self.run_it(*args, "--ack-fd", str(write), pass_fds=(write,))
        os.close(write)
        with os.fdopen(read, encoding="ascii") as pipe:
            lines = [line.split() for line in pipe]
        self.assertEqual(done.returncode, 0, done.stderr)
        return lines

    def test_wrong_command_lines_are_told(self) -> None:
        self.refuses(says="--store DIR")
        self.refuses("--sotre", "x", says="--sotre")
        self.refuses(*self.store, "surplus", says="surplus")
        for rate in ("0", "-1", "fast", "nan", "1x"):
            self.refuses(*self.store, "--rate", rate, says="--rate is a number")
        self.refuses(*self.store, "--sync", "none", says="--sync is always or interval")
        self.refuses(*self.store, "--producers", "65", says="--producers is 1 to 64")
        self.refuses(*self.store, "--producers", "many", says="many")
        self.refuses(*self.store, "--target", "localhost:6379", says="--device and --ca")
        self.refuses(*self.store, "--cert", "x", says="--cert and --key")
        self.refuses(*self.store, "--user", "x", says="are for a --target")

    def test_a_target_without_a_port_is_told(self) -> None:
        self.refuses(*self.store, "--target", "localhost", "--device", "d", "--ca", "x",
                     says="--target localhost: say HOST:PORT", status=1)

    def test_help_lists_the_options(self) -> None:
        done = self.run_it("--help")
        self.assertEqual(done.returncode, 0)
        for option in ("--store", "--replay", "--target", "--ack-fd"):
            self.assertIn(option, done.stdout)

    def test_missing_files_are_named(self) -> None:
        self.refuses(*self.store, "--replay", "nowhere.csv", says="nowhere.csv: No such file",
                     status=1)
        self.refuses("--store", str(self.folder / "no" / "such"), status=1,
                     says="the directory that is to hold the store is not there")

    def test_what_is_no_store_is_left_alone(self) -> None:
        held = self.folder / "file"
        held.write_text("mine")
        self.refuses("--store", str(held), says=str(held), status=1)
        self.assertEqual(held.read_text(), "mine")

    def test_its_own_readings_are_stored_and_acknowledged(self) -> None:
        lines = self.acknowledged(*self.store, "--rate", "max", "--count", "50")
        self.assertEqual([line[2] for line in lines], [str(n) for n in range(1, 51)])
        ids = [tuple(int(part) for part in line[0].split("-")) for line in lines]
        self.assertEqual(ids, sorted(set(ids)))

    def test_a_replay_acknowledges_the_rows_of_the_file(self) -> None:
        csv = self.folder / "r.csv"
        verdict.write_readings(csv, 40)
        lines = self.acknowledged(*self.store, "--rate", "max", "--replay", str(csv), "--from",
                                  "11", "--producers", "4")
        sums = verdict.load_readings(csv)
        self.assertEqual(sorted(int(line[2]) for line in lines), list(range(11, 41)))
        for _, found, row in lines:
            self.assertEqual(int(found, 16), sums[int(row)])

    def test_a_bad_row_stops_the_replay_and_is_named(self) -> None:
        csv = self.folder / "r.csv"
        for bad in ("3", "3,4,5", '3,"x"', "3," + "x" * 2000):
            csv.write_text(f"row,value\n1,a\n2,b\n{bad}\n4,d\n")
            self.refuses("--store", str(self.folder / f"s{len(bad)}"), "--rate", "max", "--replay",
                         str(csv), says="row 3 of the file", status=1)
        csv.write_text("")
        self.refuses(*self.store, "--replay", str(csv), says="first line must name", status=1)

    def test_in_1970_ids_are_small_and_go_on_from_there_after_the_clock_is_set(self) -> None:
        offset = str(-int(time.time()) + 60)
        old = self.acknowledged(*self.store, "--rate", "max", "--count", "5", "--clock-offset-s",
                                offset)
        new = self.acknowledged(*self.store, "--rate", "max", "--count", "5")
        again = self.acknowledged(*self.store, "--rate", "max", "--count", "5", "--clock-offset-s",
                                  offset)
        ids = [tuple(int(part) for part in line[0].split("-")) for line in old + new + again]
        self.assertLess(ids[0][0], 86_400_000)
        self.assertGreater(ids[5][0], 1_600_000_000_000)
        self.assertEqual(ids, sorted(set(ids)))

    def running(self) -> subprocess.Popen[str]:
        """One that has acknowledged a reading, and goes on."""
        read, write = os.pipe()
        sensor = subprocess.Popen([PROGRAM, *self.store, "--rate", "50", "--ack-fd", str(write)],
                                  stderr=subprocess.PIPE, text=True, pass_fds=(write,))
        os.close(write)
        self.addCleanup(os.close, read)
        self.assertNotEqual(os.read(read, 100), b"")
        return sensor

    def test_a_signal_stops_it_cleanly(self) -> None:
        for signum in (signal.SIGTERM, signal.SIGINT):
            sensor = self.running()
            sensor.send_signal(signum)
            _, said = sensor.communicate(timeout=60)
            self.assertEqual(sensor.returncode, 0, said)

    def test_a_store_in_use_is_told_and_not_touched(self) -> None:
        sensor = self.running()
        self.addCleanup(sensor.communicate)
        self.addCleanup(sensor.terminate)
        self.refuses(*self.store, says="in use by another process", status=1)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
