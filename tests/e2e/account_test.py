# SPDX-License-Identifier: Apache-2.0
"""The account of the gateway's job must see each fault that it is there to see."""
import contextlib
import io
import os
import unittest
from dataclasses import replace
from pathlib import Path

from rig import account


class AccountTest(unittest.TestCase):
    def setUp(self) -> None:
        self.names = [f"plain-{n}" for n in range(1, 11)]
        told = account.Told(cuts=[{"mid_commit": "yes"}, {"mid_commit": "no"}], idle_cuts=1,
                            waiting=20, kills=1, worker_kills=2, celery_kills=1)
        loses = [account.settle("celery", self.names, self.names[:4], self.names[4:], [], [])]
        self.good = account.Outcome(
            seed=1, jobs=20, told=told,
            makers=[self.settle("celery"), self.settle("bullmq")],
            controls=[account.Control("everysec", loses, 1)],
            refused={"celery": 0, "bullmq": 0}, folder=Path(os.getcwd()), seconds=1)

    def settle(self, name: str, accepted: list[str] | None = None,
               executed: list[str] | None = None, without: tuple[str, ...] = (),
               unordered: tuple[str, ...] = (),
               failed: tuple[str, ...] = ()) -> account.Account:
        return account.settle(name, self.names if accepted is None else accepted,
                              self.names if executed is None else executed, list(without),
                              list(unordered), list(failed))

    def shown(self, outcome: account.Outcome) -> tuple[bool, str]:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            good = account.show(outcome)
        return good, out.getvalue().splitlines()[-1]

    def fails(self, what: str, outcome: account.Outcome) -> None:
        good, last = self.shown(outcome)
        self.assertFalse(good)
        self.assertIn(f"FAILED: {what} (", last)

    def test_all_carried_out_is_proved(self) -> None:
        good, last = self.shown(self.good)
        self.assertTrue(good)
        self.assertIn("PROVED: 20 acknowledged jobs", last)

    def test_repetitions_and_unanswered_orders_are_counted(self) -> None:
        found = self.settle("celery", self.names[:9], self.names + self.names[:3])
        self.assertEqual((found.accepted, found.executed, found.missing), (9, 9, 0))
        self.assertEqual((found.repeated, found.unanswered), (3, 1))

    def test_a_job_of_bullmq_that_was_not_carried_out_is_missing(self) -> None:
        lossy = self.settle("bullmq", executed=self.names[1:], without=("plain-1",))
        self.assertEqual((lossy.missing, lossy.without), (1, 0))
        self.fails("missing", replace(self.good, makers=[self.settle("celery"), lossy]))

    def test_celery_may_lose_one_job_each_time_that_it_was_interrupted_and_no_more(self) -> None:
        self.assertEqual(self.good.told.hand_overs, 3)
        bullmq = self.settle("bullmq")
        three = self.settle("celery", executed=self.names[3:])
        good, last = self.shown(replace(self.good, makers=[three, bullmq]))
        self.assertTrue(good)
        self.assertIn("but for 3 that Celery had taken", last)
        four = self.settle("celery", executed=self.names[4:])
        self.fails("missing", replace(self.good, makers=[four, bullmq]))

    def test_a_job_whose_failure_was_told_is_not_missing_but_counted(self) -> None:
        found = self.settle("celery", executed=self.names[1:], without=("plain-1", "plain-2"),
                            failed=("plain-1", "plain-2"))
        self.assertEqual((found.missing, found.failed, found.without), (0, 1, 1))

    def test_a_result_that_is_not_there_is_seen(self) -> None:
        lossy = self.settle("bullmq", without=("plain-1",))
        self.fails("without result", replace(self.good, makers=[self.settle("celery"), lossy]))

    def test_an_order_that_was_forgotten_is_seen(self) -> None:
        lossy = self.settle("celery", unordered=("plain-1",))
        self.fails("orders forgotten", replace(self.good, makers=[lossy, self.settle("bullmq")]))

    def test_a_job_that_a_cut_took_from_the_queue_is_seen(self) -> None:
        told = replace(self.good.told, gone=1)
        self.fails("gone after a cut", replace(self.good, told=told))

    def test_nothing_looked_for_after_a_cut_proves_nothing(self) -> None:
        told = replace(self.good.told, waiting=0)
        self.fails("gone after a cut", replace(self.good, told=told))

    def test_too_few_jobs_prove_nothing(self) -> None:
        self.fails("accepted", replace(self.good, jobs=21))

    def test_a_job_that_was_acknowledged_twice_is_seen(self) -> None:
        twice = self.settle("celery", accepted=self.names + self.names[:1])
        self.fails("accepted", replace(self.good, makers=[twice, self.settle("bullmq")]))

    def test_faults_that_did_not_strike_are_seen(self) -> None:
        told = self.good.told
        for what, changed in (
                ("power cuts", replace(told, cuts=[{"mid_commit": "no"}])),
                ("power cuts", replace(told, idle_cuts=0)),
                ("server killed -9", replace(told, kills=0)),
                ("workers killed -9", replace(told, worker_kills=1)),
                ("workers killed -9", replace(told, celery_kills=0))):
            with self.subTest(what):
                self.fails(what, replace(self.good, told=changed))

    def test_a_control_that_lost_nothing_is_seen(self) -> None:
        control = account.Control("everysec", [self.settle("celery")], 1)
        self.fails("everysec", replace(self.good, controls=[control]))


if __name__ == "__main__":
    unittest.main()
