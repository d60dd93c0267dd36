#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Queues of programs that know nothing of policies, and of some that do, with redis-py for a client.

    oxbowd_queues_test.py PROGRAM [TEST...]
"""
import os
import sys
import threading
import time
import unittest

import oxbowd_test as base
import redis

CONFIG = """
queue "jobs:small*" max-entries 2
queue "*:log" max-entries 3 on-full drop-oldest
group "jobs:*" "*" visibility 50ms max-deliveries 3 dead-letter "jobs:dead"
"""


def as_map(reply):
    return {k.decode(): v for k, v in zip(reply[::2], reply[1::2])}


class Queues(base.Oxbowd):
    # The daemon's other tests are base's own.
    locals().update({name: None for name in dir(base.Oxbowd) if name.startswith("test_")})

    def serve(self, text=CONFIG, **kw):
        return self.start(config=self.write("oxbowd.conf", text), **kw)

    # ---- programs that know nothing

    def test_what_a_worker_never_acks_goes_to_the_dead_letters(self):
        _, client = self.serve()
        client.xgroup_create("jobs:mail", "workers", mkstream=True)
        poison = client.xadd("jobs:mail", {"to": "nobody"})
        seen = []

        def work():  # as a program for Redis would: what it fails at it leaves pending
            for _, entries in client.xreadgroup("workers", "w1", {"jobs:mail": ">"}, count=10,
                                                block=100):
                seen.extend(i for i, _ in entries)
            return client.xlen("jobs:dead")

        base.until(work)
        self.assertEqual(seen, [poison] * 3)
        (_, letter), = client.xrange("jobs:dead")
        self.assertEqual((letter[b"to"], letter[b"oxbow.id"], letter[b"oxbow.key"],
                          letter[b"oxbow.reason"], letter[b"oxbow.deliveries"]),
                         (b"nobody", poison, b"jobs:mail", b"max-deliveries", b"3"))
        self.assertEqual(client.xpending("jobs:mail", "workers")["pending"], 0)
        # Mended: the letters are sent back, and a worker that waits is given them.
        waiting = threading.Thread(target=lambda: seen.extend(
            client.xreadgroup("workers", "w2", {"jobs:mail": ">"}, block=base.PATIENCE * 1000)))
        waiting.start()
        got = as_map(client.execute_command("OXBOW", "REDRIVE", "jobs:dead"))
        self.assertEqual((got["redriven"], got["skipped"], got["next"]), (1, 0, None))
        waiting.join()
        self.assertEqual(seen[3], [b"jobs:mail", [(poison, {b"to": b"nobody"})]])
        self.assertEqual(client.xack("jobs:mail", "workers", poison), 1)

    def test_groups_that_were_there_before_the_line_have_it_with_the_next_read(self):
        d, client = self.start()
        client.xadd("jobs:mail", {"n": "1"})
        client.xgroup_create("jobs:mail", "workers", "0")
        client.xreadgroup("workers", "gone", {"jobs:mail": ">"})  # and that worker never comes back
        self.assertEqual(d.end(), 0, d.told())
        _, client = self.serve()
        base.until(lambda: client.xreadgroup("workers", "w2", {"jobs:mail": ">"}))

    def test_a_full_queue_says_so(self):
        _, client = self.serve()
        self.assertEqual(client.rpush("jobs:small", "a", "b"), 2)
        with self.assertRaises(redis.exceptions.ResponseError) as told:
            client.rpush("jobs:small", "c")
        self.assertIn("the queue is full: its policy's limit is reached", str(told.exception))
        self.assertEqual(client.lpop("jobs:small"), b"a")
        self.assertEqual(client.rpush("jobs:small", "c"), 2)
        push = client.register_script("return redis.call('RPUSH', KEYS[1], 'x', 'y')")
        self.assertEqual(push(["jobs:small2"]), 2)
        with self.assertRaises(redis.exceptions.ResponseError):
            push(["jobs:small2"])

    def test_what_is_dropped_shows_as_a_gap(self):
        d, client = self.serve()
        ids = [client.xadd("app:log", {"n": str(i)}) for i in range(10)]
        self.assertEqual([i for i, _ in client.xrange("app:log")], ids[-3:])

        def gaps(client):
            return [(g["from"], g["to"], g["entries"], as_map(g["causes"])) for g in
                    map(as_map, client.execute_command("OXBOW", "GAPS", "app:log"))]

        self.assertEqual(gaps(client), [(ids[0], ids[6], 7, {"length": 7})])
        self.assertEqual(client.execute_command("OXBOW", "GAPS", "app:log", ids[6]), [])
        self.assertEqual(d.end(), 0, d.told())
        _, client = self.start()  # without the configuration: what the queue was given stays
        self.assertEqual(gaps(client), [(ids[0], ids[6], 7, {"length": 7})])
        client.xadd("app:log", {"n": "10"})
        self.assertEqual(client.xlen("app:log"), 3)

    # ---- programs that say it themselves

    def test_an_entry_is_not_seen_before_its_time(self):
        _, client = self.start()
        begin = time.monotonic()
        client.execute_command("OXBOW", "ADD", "s", "DELAY", 700, "*", "n", "later")
        client.execute_command("OXBOW", "PUSH", "l", "RIGHT", "DELAY", 700, "later")
        client.execute_command("OXBOW", "ADD", "s", "DELAY", 86400000, "*", "n", "tomorrow")
        got = client.xread({"s": "0"}, block=base.PATIENCE * 1000)
        self.assertGreaterEqual(time.monotonic() - begin, 0.7)
        self.assertEqual([f for _, f in got[0][1]], [{b"n": b"later"}])
        self.assertEqual(client.blpop("l", base.PATIENCE), (b"l", b"later"))
        waiting, = client.execute_command("OXBOW", "DELAY", "LIST", "s")
        self.assertEqual(client.execute_command("OXBOW", "DELAY", "CANCEL", "s",
                                                as_map(waiting)["id"]), 1)
        self.assertEqual(client.xlen("s"), 1)

    def test_transactions_and_scripts_have_them(self):
        _, client = self.start()
        with client.pipeline(transaction=True) as multi:
            multi.execute_command("OXBOW", "QUEUE", "SET", "s", "max-entries", 2)
            multi.execute_command("OXBOW", "ADD", "s", "TTL", 86400000, "1-0", "n", "1")
            multi.execute_command("OXBOW", "PUSH", "l", "LEFT", "a")
            self.assertEqual(multi.execute(), [b"OK", b"1-0", 1])
        self.assertEqual(client.eval("""
            redis.call('OXBOW', 'ADD', KEYS[1], 'DELAY', 86400000, '*', 'n', '2')
            return {redis.call('OXBOW', 'ADD', KEYS[1], 'ONCE', 'x', '*', 'n', '3')[2],
                    #redis.call('OXBOW', 'DELAY', 'LIST', KEYS[1]),
                    redis.pcall('OXBOW', 'ADD', KEYS[1], '*', 'n', '4').err}""", 1, "s"),
            [1, 1, b"OOM the queue is full: its policy's limit is reached"])
        self.assertEqual(client.xlen("s"), 2)

    def test_what_was_set_survives_a_restart_and_a_kill(self):
        d, client = self.start()
        client.execute_command("OXBOW", "QUEUE", "SET", "q", "max-entries", 1, "priorities", 3)
        client.xgroup_create("q", "g", mkstream=True)
        client.execute_command("OXBOW", "GROUP", "SET", "q", "g", "visibility", "30s",
                               "max-deliveries", 5, "dead-letter", "dead")
        self.assertEqual(client.execute_command("OXBOW", "ADD", "q", "ONCE", "order-7", "*", "a",
                                                "b")[1], 1)
        client.execute_command("OXBOW", "ADD", "s", "DELAY", 86400000, "*", "n", "tomorrow")
        for number in (9, 15):
            d.end(number)
            d, client = self.start()
            got = as_map(client.execute_command("OXBOW", "QUEUE", "GET", "q"))
            self.assertEqual((got["max-entries"], got["priorities"], got["entries"]), (1, 3, 1))
            got = as_map(client.execute_command("OXBOW", "GROUP", "GET", "q", "g"))
            self.assertEqual((got["visibility"], got["max-deliveries"], got["dead-letter"]),
                             (30000, 5, b"dead"))
            self.assertEqual(client.execute_command("OXBOW", "ADD", "q", "ONCE", "order-7", "*",
                                                    "a", "b")[1], 0)
            self.assertEqual(len(client.execute_command("OXBOW", "DELAY", "LIST", "s")), 1)

    # ---- the configuration

    def test_the_configuration_is_told(self):
        _, client = self.serve()
        self.assertEqual(client.config_get("queue")["queue"],
                         '"jobs:small*" max-entries 2\n"*:log" max-entries 3 on-full drop-oldest')
        self.assertEqual(client.config_get("group")["group"], '"jobs:*" "*" visibility 50 '
                         'max-deliveries 3 dead-letter "jobs:dead"')
        with self.assertRaises(redis.exceptions.ResponseError):
            client.config_set("queue", '"*" max-entries 1')

    def test_a_rewritten_file_has_the_lines_still(self):
        d, client = self.serve()
        before = client.config_get("queue"), client.config_get("group")
        client.config_set("maxclients", 77)
        client.config_rewrite()
        self.assertEqual(d.end(), 0, d.told())
        with open(self.path("oxbowd.conf")) as file:
            text = file.read()
        self.assertIn("maxclients 77\n", text)
        self.assertTrue(text.startswith(CONFIG), text)
        _, client = self.start(config=self.path("oxbowd.conf"))
        self.assertEqual((client.config_get("queue"), client.config_get("group")), before)

    def test_the_command_line_has_it_too(self):
        _, client = self.start("--queue", "q*", "max-entries", "1", "--queue", "p*", "max-age", "1d",
                               "--group", "*", "*", "prefetch", "4")
        self.assertEqual(client.config_get("queue")["queue"],
                         '"q*" max-entries 1\n"p*" max-age 86400000')
        client.rpush("q1", "a")
        with self.assertRaises(redis.exceptions.ResponseError):
            client.rpush("q1", "b")

    def test_wrong_lines_are_told(self):
        cases = {
            "queue": "has no value",
            'queue ""': "the pattern is empty",
            "queue jobs* max-entries": "max-entries has no value: want a number",
            "queue jobs* max-entries many": "max-entries 'many': want a number",
            "queue jobs* max-age 7y": "max-age '7y': want a time like",
            "queue jobs* on-full drop": "on-full 'drop': want one of refuse drop-oldest block",
            "queue jobs* priorities 9": "priorities '9': too large",
            "queue jobs* colour red": "'colour' is none of: max-entries, max-bytes",
            "queue jobs* max-bytes " + "9" * 400: "want a size like",
            "group jobs*": "wants KEY-PATTERN GROUP-PATTERN",
            'group jobs* ""': "a pattern is empty",
            "group jobs* * visibility": "visibility has no value: want a time",
            "group jobs* * visibility soon": "visibility 'soon': want a time like",
            "group jobs* * max-deliveries 3": "max-deliveries needs dead-letter",
            "group jobs* * retry-base 2s retry-max 1s": "retry-max is below retry-base",
            "group jobs* * colour red": "'colour' is none of: visibility, max-deliveries",
        }
        for line, words in cases.items():
            file = self.write("bad.conf", f"# first\n\n{line}\n")
            text = base.refused(file, cwd=self.top)
            self.assertIn(f"{file}:3: {line.split()[0]}: ", text, line)
            self.assertIn(words, text, line)
        for line in ("queue a max-entries 1", "group a b prefetch 1"):
            twice = self.write("bad.conf", f"{line}\n{line}\n")
            self.assertIn(f"{twice}:2: {line.split()[0]}: there is a line for 'a' already",
                          base.refused(twice))
        many = self.write("bad.conf", "".join(f"queue a{i} max-entries 1\n" for i in range(257)))
        self.assertIn(f"{many}:257: queue: more than 256 lines", base.refused(many))
        long = self.write("bad.conf", "".join(f"queue a{i}{'x' * 3000} max-age 1\n"
                                              for i in range(30)))
        self.assertIn("queue: the rules of all queues and groups take more than 65536 bytes",
                      base.refused(long))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    base.PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
