# SPDX-License-Identifier: Apache-2.0
"""The verdict must see each fault that it is there to see."""
import tempfile
import unittest
from pathlib import Path

from rig import verdict
from rig.device import Accepted


class VerdictTest(unittest.TestCase):
    def setUp(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            csv = Path(folder) / "r.csv"
            verdict.write_readings(csv, 10)
            self.sums = verdict.load_readings(csv)
            names, *lines = (line.split(b",") for line in csv.read_bytes().splitlines())
        self.entries: verdict.Entries = []
        self.accepted = Accepted()
        for n, cells in enumerate(lines, 1):
            entry = b"%d-0" % n
            fields = [part for pair in zip(names, cells) for part in pair]
            self.entries.append((entry, fields))
            self.accepted.by_id[entry] = (self.sums[n], n)

    def judge(self) -> verdict.Verdict:
        return verdict.judge(self.accepted, self.entries, self.sums)

    def test_what_arrived_once_and_in_order_is_good(self) -> None:
        found = self.judge()
        self.assertTrue(found.good)
        self.assertEqual((found.accepted, found.target, found.unanswered), (10, 10, 0))

    def test_nothing_accepted_proves_nothing(self) -> None:
        self.assertFalse(verdict.judge(Accepted(), [], self.sums).good)

    def test_a_missing_reading_is_seen(self) -> None:
        del self.entries[4]
        self.assertEqual(self.judge().missing, 1)
        self.assertFalse(self.judge().good)

    def test_a_reading_with_other_content_is_missing_and_foreign(self) -> None:
        self.entries[4][1][3] = b"tampered"
        self.assertEqual((self.judge().missing, self.judge().foreign), (1, 1))
        self.assertFalse(self.judge().good)

    def test_a_reading_that_came_twice_is_seen(self) -> None:
        self.entries.append((b"11-0", self.entries[-1][1]))
        self.assertEqual(self.judge().duplicated, 1)
        self.assertFalse(self.judge().good)

    def test_readings_that_changed_places_are_seen(self) -> None:
        a, b = self.entries[2], self.entries[3]
        self.entries[2], self.entries[3] = (a[0], b[1]), (b[0], a[1])
        self.assertGreater(self.judge().out_of_order, 0)
        self.assertEqual(self.judge().missing, 2)

    def test_an_unanswered_push_that_arrived_is_counted_apart(self) -> None:
        del self.accepted.by_id[b"7-0"]
        found = self.judge()
        self.assertTrue(found.good)
        self.assertEqual(found.unanswered, 1)

    def test_what_is_no_reading_is_seen(self) -> None:
        self.entries.append((b"12-0", [b"oxbow:gap", b"budget"]))
        self.assertEqual(self.judge().foreign, 1)
        self.assertFalse(self.judge().good)

    def test_a_naive_clients_losses_and_doubles_are_counted(self) -> None:
        entries: verdict.Entries = [(b"%d-0" % k, [b"n", b"%d" % n])
                                    for k, n in enumerate([0, 1, 3, 2, 3])]
        found = verdict.judge_naive(6, [0, 1, 2, 3, 4], entries)
        self.assertEqual((found.lost, found.doubled, found.out_of_order), (1, 1, 1))


if __name__ == "__main__":
    unittest.main()
