#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the differential test sends next (differ_forms.py), and that a run fails in which something has succeeded too seldom."""
import collections
import contextlib
import io
import random
import types
import unittest

import differ
import differ_forms
from differ_commands import Words

NAMES = ["common%d" % n for n in range(40)] + ["rare"]


def run(seed, wanted, forms=None, elsewhere=(), commands=8000):
    """So many commands are sent, of which all succeed but most of "rare" without a form: what was sent, and what succeeded."""
    rng, sent, good = random.Random(seed), [], collections.Counter()
    table = {name: (lambda: []) for name in NAMES}
    choice = differ_forms.Choice(rng, table, NAMES, forms or {}, NAMES, elsewhere, good, wanted)
    while len(sent) < commands:
        choice.look(len(sent) / commands)
        for _ in range(20):
            together = choice.next()
            sent += together
            name = together[-1][0].decode().lower()
            good[name] += name != "rare" or len(together) > 1 or rng.random() < 0.1
    return sent, good


class What(unittest.TestCase):
    def test_what_lags_behind_is_sent_more_often(self):
        self.assertGreaterEqual(run(1, 60)[1]["rare"], 60)
        self.assertLess(run(1, 0)[1]["rare"], 60)

    def test_most_times_behind_what_opens_the_way_for_it(self):
        forms = {"rare": lambda: [[b"opens"], [b"rare"]]}
        sent, good = run(1, 60, forms)
        self.assertGreaterEqual(good["rare"], 60)
        opened = sent.count([b"opens"])
        self.assertGreater(opened, 40)
        # Others come as they are: what is refused is to be seen too.
        self.assertGreater(sum(c[0].lower() == b"rare" for c in sent), opened + 20)

    def test_what_comes_elsewhere_is_not_sent_for_lagging(self):
        sent = run(1, 60, elsewhere=["rare"])[0]
        self.assertLess(sum(c[0].lower() == b"rare" for c in sent), 300)

    def test_all_others_are_sent_still(self):
        sent = collections.Counter(c[0].lower() for c in run(1, 60)[0])
        self.assertGreater(min(sent[name.encode()] for name in NAMES), 60)

    def test_the_same_seed_sends_the_same(self):
        self.assertEqual(run(7, 60), run(7, 60))
        self.assertNotEqual(run(7, 60), run(8, 60))

    def test_a_form_ends_with_its_command_or_with_what_undoes_it(self):
        words = Words(random.Random(1))
        table = {}
        for family in differ.FAMILIES.values():
            table.update(family(words))
        for name, form in differ_forms.forms(words, table).items():
            wanted = [word.encode() for word in name.split("|")]
            for _ in range(20):
                self.assertIn(wanted, [[word.lower() for word in c[:len(wanted)]] for c in form()], name)


class Report(unittest.TestCase):
    def report(self, good, sent, least):
        """What a run says at its end, and why it fails; None: it does not."""
        seen = types.SimpleNamespace(good=collections.Counter(good), all=collections.Counter(sent), met=collections.Counter())
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            try:
                differ.report(seen, types.SimpleNamespace(least=least), differ.counted(sent), 1)
            except SystemExit as end:
                return said.getvalue(), end.code
        return said.getvalue(), None

    def test_a_run_in_which_all_succeeded_often_enough_is_good(self):
        said, why = self.report({"get": 50, "set": 40}, {"get": 60, "set": 40, "script|kill": 1}, 40)
        self.assertIsNone(why)
        self.assertIn("101 commands, 89 of a hundred succeeded", said)
        self.assertIn("set has succeeded least, 40 times of 40; 40 were wanted of each of 2 commands, of others none: script|kill 0/1", said)

    def test_those_that_succeeded_too_seldom_are_named(self):
        _, why = self.report({"get": 50, "set": 40, "config|get": 9}, {"get": 60, "set": 40, "config": 3, "config|get": 10}, 41)
        self.assertEqual(why, "differ: too few successes: config|get 9/10, set 40/40")

    def test_even_what_cannot_succeed_must_be_sent(self):
        _, why = self.report({"get": 50}, {"get": 60, "bgrewriteaof": 0}, 20)
        self.assertEqual(why, "differ: too few successes: bgrewriteaof 0/0")

    def test_too_small_a_share_fails(self):
        _, why = self.report({"get": 59}, {"get": 100}, 20)
        self.assertEqual(why, "differ: less than 60 of a hundred succeeded")
        self.assertIsNone(self.report({"get": 60}, {"get": 100}, 20)[1])


if __name__ == "__main__":
    unittest.main()
