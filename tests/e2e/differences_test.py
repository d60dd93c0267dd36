#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The list of what differs from Redis (docs/RESP.md) and the rules of the differential test go together, and each way in
which they might not is seen."""
import unittest

import differ_alike
import differences

PAGE = """# A page

{head}

| | name | what | here | why |
|---|---|---|---|---|
{rows}
## Another

| 9 | other | a | b | c |
"""


def page(*rows):
    return PAGE.format(head=differences.HEAD, rows="\n".join(rows) + "\n")


def row(number, name, why="since"):
    return f"| {number} | {name} | what | here | {why} |"


class Differences(unittest.TestCase):
    def test_the_page_and_the_rules_go_together(self):
        listed = differences.check(differ_alike.named())
        self.assertLessEqual(len(listed), 30)
        self.assertEqual(differences.MOST, 30)

    def test_a_list_is_read(self):
        self.assertEqual(differences.read(page(row(1, "a"), row(2, "b"))),
                         {"a": (1, "what", "here", "since"), "b": (2, "what", "here", "since")})

    def test_a_page_without_the_list_is_refused(self):
        with self.assertRaises(differences.Unlisted):
            differences.read("# A page\n")
        with self.assertRaises(differences.Unlisted):
            differences.check(differ_alike.named(), differences.read(page()))

    def test_numbers_names_and_reasons_are_wanted(self):
        for rows in ([row(2, "a")], [row(1, "a"), row(3, "b")], [row(1, "a"), row(2, "a")], [row(1, "a", why="")],
                     ["| 1 | a | what | here |"]):
            with self.assertRaises(differences.Unlisted, msg=rows):
                differences.read(page(*rows))

    def test_a_rule_without_an_entry_is_refused(self):
        listed = differences.read()
        with self.assertRaisesRegex(differences.Unlisted, "not in docs/RESP.md: planted"):
            differences.check(differ_alike.named() | {"planted"}, listed)

    def test_an_entry_without_a_rule_is_refused(self):
        listed = differences.read()
        with self.assertRaisesRegex(differences.Unlisted, "no rule is for it: order"):
            differences.check(differ_alike.named() - {"order"}, listed)

    def test_one_too_many_is_refused(self):
        listed = differences.read()
        more = [f"more{n}" for n in range(differences.MOST + 1 - len(listed))]
        with self.assertRaisesRegex(differences.Unlisted, "lists 31 differences"):
            differences.check(differ_alike.named() | set(more), {**listed, **{name: (0, "", "", "") for name in more}})


class Alike(unittest.TestCase):
    """Rules let pass what they are for, and nothing else."""

    def passes(self, full, a, b):
        return differ_alike.why_alike(full, a, b)

    def test_what_is_the_same_needs_no_entry(self):
        self.assertEqual(self.passes("get", b"+OK\r\n", b"+OK\r\n"), ())
        self.assertIsNone(self.passes("get", b"+OK\r\n", b"+QK\r\n"))

    def test_orders(self):
        one, two = b"*2\r\n$1\r\na\r\n$1\r\nb\r\n", b"*2\r\n$1\r\nb\r\n$1\r\na\r\n"
        self.assertEqual(self.passes("smembers", one, two), ("order",))
        self.assertIsNone(self.passes("lrange", one, two))
        self.assertIsNone(self.passes("smembers", one, b"*2\r\n$1\r\nb\r\n$1\r\nb\r\n"))
        self.assertIsNone(self.passes("hgetall", one, two))
        scan = b"*2\r\n$1\r\n%s\r\n"
        self.assertEqual(self.passes("sscan", scan % b"0" + one, scan % b"0" + two), ("order",))
        self.assertIsNone(self.passes("sscan", scan % b"1" + one, scan % b"1" + two))

    def test_errors_are_never_alike(self):
        for full in [*differ_alike.RULES, "xgroup|help"]:
            if full in ("config|set", "bgrewriteaof", "save", "bgsave"):
                continue
            self.assertIsNone(self.passes(full, b"-ERR this\r\n", b"-ERR that\r\n"), full)
            self.assertIsNone(self.passes(full, b"-ERR this\r\n", b":1\r\n"), full)
            self.assertIsNone(self.passes(full, b":1\r\n", b"-ERR that\r\n"), full)
        self.assertIsNone(self.passes("save", b"-ERR this\r\n", b"+OK\r\n"))

    def test_times_and_figures(self):
        self.assertEqual(self.passes("ttl", b":10\r\n", b":11\r\n"), ("clock",))
        self.assertIsNone(self.passes("ttl", b":-1\r\n", b":-2\r\n"))
        self.assertIsNone(self.passes("pttl", b":10\r\n", b":90000\r\n"))
        self.assertIsNone(self.passes("info", b"$9\r\n\ndb0:keys=1\r\n", b"$9\r\n\ndb0:keys=2\r\n"))

    def test_scores(self):
        self.assertEqual(self.passes("zscore", b"$2\r\n-0\r\n", b"$1\r\n0\r\n"), ("zero",))
        self.assertIsNone(self.passes("get", b"$2\r\n-0\r\n", b"$1\r\n0\r\n"))

    def test_commands_that_both_have_must_come(self):
        differ_alike.KNOWN.names, kept = {b"get", b"set"}, differ_alike.KNOWN.names
        try:
            ours = b"*2\r\n$3\r\nget\r\n$3\r\nown\r\n"
            self.assertEqual(self.passes("command|list", ours, b"*1\r\n$3\r\nget\r\n"), ("commands",))
            self.assertIsNone(self.passes("command|list", ours, b"*2\r\n$3\r\nget\r\n$3\r\nset\r\n"))
        finally:
            differ_alike.KNOWN.names = kept


if __name__ == "__main__":
    unittest.main()
