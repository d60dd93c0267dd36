#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""DEBUG RELOAD of the daemon: the store is closed and opened again while clients work, with redis-py for one.

    oxbowd_reload_test.py PROGRAM [TEST...]
"""
import os
import sys
import threading
import unittest

import oxbowd_test as base
import redis


class Reload(base.Oxbowd):
    # The daemon's other tests are base's own.
    locals().update({name: None for name in dir(base.Oxbowd) if name.startswith("test_")})

    def serve(self, *args, **kw):
        return self.start("--enable-debug-command", "yes", *args, **kw)

    def test_who_works_meanwhile_loses_nothing(self):
        d, client = self.serve("--appendfsync", "everysec")
        rounds, done, errors = 400, [], []

        def produce():
            try:
                own = d.client()
                for n in range(rounds):
                    own.rpush("jobs", n)
            except Exception as error:
                errors.append(error)

        def work():
            try:
                own = d.client()
                while len(done) < rounds:
                    _, job = own.blpop("jobs", timeout=base.PATIENCE)
                    done.append(int(job))
            except Exception as error:
                errors.append(error)

        threads = [threading.Thread(target=produce), threading.Thread(target=work)]
        for t in threads:
            t.start()
        reloads = 0
        while any(t.is_alive() for t in threads):
            self.assertTrue(client.execute_command("DEBUG", "RELOAD"))
            reloads += 1
        for t in threads:
            t.join()
        self.assertEqual(errors, [])
        self.assertEqual(done, list(range(rounds)))
        self.assertGreater(reloads, 1)
        self.assertEqual(d.told().count("the store was closed and is open again"), reloads)
        client.set("after", "all")
        self.assertEqual(d.end(), 0, d.told())
        _, client = self.serve()
        self.assertEqual(client.get("after"), b"all")
        self.assertEqual(client.llen("jobs"), 0)

    def test_what_was_set_holds_on_and_what_is_kept_in_memory_is_lost(self):
        d, client = self.serve("--db", "3", "memory", "--maxmemory", "10mb")
        cache = d.client(db=3)
        cache.set("k", "v")
        client.set("k", "v")
        client.config_set("appendfsync", "everysec")
        client.config_set("db", "2 sync no 3 memory")
        client.config_set("maxmemory", "20mb")
        client.config_set("maxmemory-policy", "allkeys-lru")
        before = client.config_get("*")
        sha = client.script_load("return redis.call('get', KEYS[1])")
        self.assertTrue(client.execute_command("DEBUG", "RELOAD"))
        self.assertEqual(client.config_get("*"), before)
        self.assertIsNone(cache.get("k"))
        self.assertEqual(client.get("k"), b"v")
        self.assertEqual(client.evalsha(sha, 1, "k"), b"v")
        self.assertEqual(client.info("memory")["maxmemory"], 20 << 20)

    def test_it_is_for_those_whom_the_configuration_lets(self):
        _, client = self.start()
        with self.assertRaisesRegex(redis.ResponseError, "DEBUG command not allowed"):
            client.execute_command("DEBUG", "RELOAD")

    def test_a_store_that_does_not_open_again_ends_the_daemon_and_the_log_says_why(self):
        d, client = self.serve()
        client.set("k", "v")
        waiting = d.client()
        heard = []

        def wait():
            try:
                waiting.blpop("nothing", timeout=0)
            except redis.ConnectionError as error:
                heard.append(error)

        waiter = threading.Thread(target=wait)
        waiter.start()
        base.until(lambda: client.info("clients")["blocked_clients"] == 1)
        os.rename(self.path("store"), self.path("elsewhere"))
        self.write("store", "no directory")
        with self.assertRaises(redis.ConnectionError):
            redis.Redis(port=d.port, retry=None).execute_command("DEBUG", "RELOAD")
        self.assertEqual(d.process.wait(base.PATIENCE), 1)
        waiter.join()
        self.assertEqual(len(heard), 1)
        self.assertIn("there is no store any more", d.told())
        os.unlink(self.path("store"))
        os.rename(self.path("elsewhere"), self.path("store"))
        _, client = self.serve()
        self.assertEqual(client.get("k"), b"v")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    base.PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
