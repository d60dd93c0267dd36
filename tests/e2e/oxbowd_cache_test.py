#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Databases in memory, beside a real redis-server: what goes from them and what stays, what is answered
when they are full, that nothing of them reaches the device, and what an end leaves.

    oxbowd_cache_test.py PROGRAM [TEST...]
"""
import os
import shutil
import signal
import subprocess
import sys
import time
import unittest

import oxbowd_test as base
import redis
from rig.ports import free_port

CACHE = 3
VALUE = b"x" * 1000
ROOM = 4 << 20
OOM = "OOM command not allowed when used memory > 'maxmemory'."


class Theirs:
    """A redis-server of one's own."""

    def __init__(self, top):
        self.port = free_port()
        self.log = open(os.path.join(top, "redis.log"), "wb")
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--save", "", "--appendonly", "no", "--dir", top],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def client(self, **kw):
        return redis.Redis(port=self.port, socket_timeout=base.PATIENCE, **kw)

    def ready(self):
        end = time.monotonic() + base.PATIENCE
        while True:
            try:
                if self.client().info("server")["process_id"] != self.process.pid:
                    raise AssertionError("another server answers")
                return
            except redis.exceptions.ConnectionError:
                assert self.process.poll() is None and time.monotonic() < end
                time.sleep(0.02)

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(base.PATIENCE)
        self.log.close()


def answer(client, *command):
    """What it answers, errors too; of a script's error not the place, which has its name."""
    try:
        return client.execute_command(*command)
    except redis.exceptions.ResponseError as error:
        return "-" + str(error).split(" script: ")[0]


def fill(client, prefix, count, seconds=None):
    """Sets so many keys; how many were taken. Each that was not was refused for lack of room."""
    taken = 0
    for first in range(0, count, 100):
        pipe = client.pipeline(transaction=False)
        for n in range(first, min(first + 100, count)):
            pipe.set(f"{prefix}:{n}", VALUE, ex=seconds)
        for said in pipe.execute(raise_on_error=False):
            if said is not True:
                assert OOM in str(said), said
            taken += said is True
    return taken


def there(client, prefix, count):
    pipe = client.pipeline(transaction=False)
    for n in range(count):
        pipe.exists(f"{prefix}:{n}")
    return sum(pipe.execute())


class Cache(base.Oxbowd):
    # The daemon's other tests are base's own.
    locals().update({name: None for name in dir(base.Oxbowd) if name.startswith("test_")})

    def cache(self, *options, **kw):
        d, durable = self.start("--db", str(CACHE), "memory", *options, **kw)
        return d, durable, d.client(db=CACHE)

    def both(self):
        """A client in a cache of oxbowd, and one of a real server; each has so much room."""
        if shutil.which("redis-server") is None:
            self.skipTest("no redis-server")
        theirs = Theirs(self.top)
        self.addCleanup(theirs.end)
        theirs.ready()
        _, _, ours = self.cache("--maxmemory", str(ROOM))
        other = theirs.client(db=CACHE)
        other.config_set("maxmemory", other.info("memory")["used_memory"] + ROOM)
        for client in (ours, other):
            client.config_set("maxmemory-samples", 10)
        return ours, other

    @staticmethod
    def below(client):
        """Lowers the limit below what is used, by less than an eighth."""
        used = client.info("memory")
        client.config_set("maxmemory", used.get("used_memory_cache", used["used_memory"]) - (128 << 10))

    # ---- who goes, here and there

    def test_what_was_used_lately_survives_what_comes(self):
        for client in self.both():
            client.config_set("maxmemory-policy", "allkeys-lru")
            self.assertEqual(fill(client, "hot", 200), 200)
            self.assertEqual(fill(client, "cold", 1500), 1500)
            client.set("clock", 1)
            base.until(lambda: client.object("idletime", "clock") >= 2)
            for n in range(200):
                self.assertEqual(client.get(f"hot:{n}"), VALUE)
            before = client.info("stats")["evicted_keys"]
            n = 0
            while client.info("stats")["evicted_keys"] < before + 700:
                self.assertEqual(fill(client, f"new{n}", 100), 100)
                n += 1
            self.assertGreaterEqual(there(client, "hot", 200), 180)
            self.assertLess(there(client, "cold", 1500), 900)

    def test_what_is_used_often_survives_what_comes(self):
        for client in self.both():
            client.config_set("maxmemory-policy", "allkeys-lfu")
            self.assertEqual(fill(client, "hot", 100), 100)
            pipe = client.pipeline(transaction=False)
            for n in range(100 * 100):
                pipe.get(f"hot:{n % 100}")
                if n % 100 == 99:
                    pipe.execute()  # what waits to be read counts in Redis
            for n in range(100):
                pipe.eval("return redis.call('object', 'freq', KEYS[1])", 1, f"hot:{n}")
            frequency = pipe.execute()
            self.assertGreater(min(frequency), 5)
            self.assertLess(max(frequency), 40)
            self.assertEqual(fill(client, "cold", 8000), 8000)
            self.assertGreaterEqual(there(client, "hot", 100), 95)
            self.assertGreater(client.info("stats")["evicted_keys"], 3000)

    def test_keys_without_a_deadline_stay_where_the_policy_says_so(self):
        ours, other = self.both()
        for policy in ("volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"):
            for client in (ours, other):
                client.flushdb()
                client.config_set("maxmemory-policy", policy)
                self.assertEqual(fill(client, "lasting", 500), 500)
                self.assertEqual(fill(client, "late", 500, seconds=100000), 500)
                self.assertEqual(fill(client, "soon", 5000, seconds=1000), 5000, policy)
                self.assertEqual(there(client, "lasting", 500), 500, policy)
                if policy == "volatile-ttl":
                    self.assertGreaterEqual(there(client, "late", 500), 450)
                self.assertLess(fill(client, "more", 8000), 8000, policy)  # then nothing may go
                self.assertEqual(there(client, "lasting", 500), 500, policy)
                self.assertLess(there(client, "late", 500) + there(client, "soon", 5000), 20, policy)

    def test_any_key_goes_by_chance(self):
        for client in self.both():
            client.config_set("maxmemory-policy", "allkeys-random")
            self.assertEqual(fill(client, "first", 1000), 1000)
            self.assertEqual(fill(client, "then", 5000), 5000)
            self.assertLess(there(client, "first", 1000), 800)
            self.assertGreater(there(client, "then", 5000), 1000)

    def test_a_full_one_answers_as_redis_does(self):
        full = [
            ["SET", "k", "v"], ["SET", "new", "v"], ["GET", "k"], ["EXISTS", "k", "new"],
            ["APPEND", "k", "v"], ["INCR", "n"], ["SETRANGE", "k", 10, "v"], ["GETSET", "k", "w"],
            ["MSET", "a", 1, "b", 2], ["SETNX", "new", 1], ["HSET", "h", "f", "v"], ["SADD", "s", 1],
            ["ZADD", "z", 1, 1], ["RPUSH", "l", 1], ["LPUSHX", "l", 1], ["XADD", "x", "*", "f", "v"],
            ["SORT", "l", "STORE", "d"], ["COPY", "k", "d"], ["BITOP", "NOT", "d", "k"],
            ["EXPIRE", "k", 100], ["PERSIST", "k"], ["RENAME", "k", "k2"], ["RENAME", "k2", "k"],
            ["LPOP", "l"], ["LMOVE", "l", "l", "LEFT", "RIGHT"], ["HDEL", "h", "f0"], ["SREM", "s", 5],
            ["ZREM", "z", 5], ["XTRIM", "x", "MAXLEN", 5], ["TOUCH", "k"], ["TTL", "k"], ["STRLEN", "k"],
            ["EVAL", "return redis.call('set','a','b')", 0],
            ["EVAL", "return redis.pcall('set','a','b')", 0],
            ["EVAL", "redis.call('del','none'); return redis.call('get','k')", 0],
            ["EVAL", "return redis.call('get','k')", 0],
            ["EVAL", "#!lua\nreturn 1", 0],
            ["EVAL", "#!lua flags=no-writes\nreturn redis.call('get','k')", 0],
            ["EVAL_RO", "return redis.call('get','k')", 0],
            ["DEL", "k", "l"], ["EXISTS", "k", "l"], ["FLUSHDB"], ["DBSIZE"],
        ]
        ours, other = self.both()
        said = []
        for client in (ours, other):
            client.config_set("maxmemory-policy", "noeviction")
            client.rpush("l", 1, 2, 3)
            client.hset("h", "f0", 1)
            client.set("k", "value")
            self.assertLess(fill(client, "k", 8000), 8000)
            self.below(client)
            said.append([(command, answer(client, *command)) for command in full])
        for one, another in zip(*said):
            self.assertEqual(one, another)
        refused = [command for command, reply in said[0] if OOM in str(reply)]
        self.assertGreater(len(refused), 18)

    def test_a_script_that_has_begun_to_write_may_end_as_in_redis(self):
        scripts = ["redis.call('del','none'); return redis.call('set','a','b')",
                   "#!lua flags=allow-oom\nreturn redis.call('set','a','b')"]
        ours, other = self.both()
        for client in (ours, other):
            client.config_set("maxmemory-policy", "volatile-lru")
            fill(client, "k", 2000)
            self.below(client)
            self.assertIn(OOM, str(answer(client, "SET", "a", "b")))
            for script in scripts:
                self.assertEqual(answer(client, "EVAL", script, 0), b"OK")
                self.assertEqual(client.getdel("a"), b"b")

    # ---- what queues are

    def test_queues_never_go_and_are_refused_when_nothing_else_is_left(self):
        for policy in ("allkeys-lru", "allkeys-lfu", "allkeys-random"):
            d, _, client = self.cache("--maxmemory", "1mb", "--maxmemory-policy", policy)
            for n in range(100):
                client.rpush("list", VALUE)
                client.xadd("stream", {"f": VALUE})
                client.zadd("zset", {VALUE + b"%d" % n: n})
            self.assertEqual(fill(client, "k", 3000), 3000)
            self.assertEqual([client.llen("list"), client.xlen("stream"), client.zcard("zset")],
                             [100, 100, 100])
            n = 0
            while OOM not in str(answer(client, "RPUSH", "list", VALUE)):
                n += 1
                self.assertLess(n, 2000)
            self.assertEqual(client.llen("list"), 100 + n)
            self.assertEqual(there(client, "k", 3000), 0)
            self.assertEqual(client.lpop("list"), VALUE)
            self.assertEqual(d.end(), 0, d.told())

    # ---- the device

    def written(self, client):
        info = client.info("oxbow")
        files = sum(os.stat(os.path.join(where, name)).st_mtime_ns
                    for where, _, names in os.walk(self.path("store")) for name in names)
        return info["store_written_bytes"], info["store_lsn_applied"], info["store_used_bytes"], files

    def test_nothing_of_it_reaches_the_device(self):
        _, durable, client = self.cache("--maxmemory", "16mb", "--maxmemory-policy", "allkeys-lru")
        durable.set("k", "v")
        durable.rpush("own", 1)  # with the first list of a process its start is noted
        before = self.written(durable)
        pipe = client.pipeline(transaction=False)
        for n in range(100000):
            pipe.set(f"k:{n}", VALUE, ex=1000)
            if n % 1000 == 999:
                pipe.execute()
        client.rpush("queue", *range(1000))
        self.assertEqual(client.waitaof(1, 0, 0) if hasattr(client, "waitaof")
                         else client.execute_command("WAITAOF", 1, 0, 0), [1, 0])
        self.assertGreater(client.info("stats")["evicted_keys"], 50000)
        self.assertEqual(self.written(durable), before)
        # The same in another database is seen by the same means.
        pipe = durable.pipeline(transaction=False)
        for n in range(1000):
            pipe.set(f"k:{n}", VALUE)
        pipe.execute()
        after = self.written(durable)
        self.assertGreater(after[0], before[0] + 1000 * len(VALUE))
        self.assertGreater(after[1], before[1])
        self.assertGreater(after[3], before[3])

    def test_a_killed_one_comes_back_empty_and_with_all_else(self):
        d, durable, client = self.cache()
        for n in range(500):
            pipe = client.pipeline()  # MULTI over both
            pipe.execute_command("RPUSH", "both", n)
            pipe.execute_command("SELECT", 0)
            pipe.execute_command("RPUSH", "both", n)
            pipe.execute_command("SELECT", CACHE)
            self.assertEqual(pipe.execute(), [n + 1, True, n + 1, True])
        client.set("moved", "v")
        client.set("copied", "v")
        self.assertTrue(client.move("moved", 0))
        self.assertTrue(client.copy("copied", "copied", destination_db=0))
        durable.set("gone", "v")
        self.assertTrue(durable.move("gone", CACHE))
        self.assertEqual(client.get("gone"), b"v")
        with self.assertRaisesRegex(redis.exceptions.ResponseError, "is kept in memory and the other"):
            client.swapdb(0, CACHE)
        d.process.send_signal(signal.SIGKILL)
        d.process.wait(base.PATIENCE)
        d, durable, client = self.cache()
        self.assertEqual(client.dbsize(), 0)
        self.assertEqual(durable.lrange("both", 0, -1), [b"%d" % n for n in range(500)])
        self.assertEqual(sorted(durable.keys()), [b"both", b"copied", b"moved"])
        self.assertEqual(d.end(), 0, d.told())

    def test_one_that_has_keys_is_not_taken(self):
        d, durable = self.start()
        durable.set("k", "v")
        self.assertEqual(d.end(), 0, d.told())
        said = base.refused("--port", str(free_port()), "--dir", self.path("store"), "--db", "0", "memory")
        self.assertIn("a database that `db N memory` names has keys, a forward or rules on the device", said)
        d, durable, client = self.cache()
        self.assertEqual(durable.get("k"), b"v")
        self.assertEqual(client.dbsize(), 0)

    # ---- waits, deadlines, events

    def test_clients_wait_there_and_keys_end_there(self):
        d, durable, client = self.cache("--notify-keyspace-events", "KEA")
        waiting = d.client(db=CACHE)
        hearing = durable.pubsub()
        hearing.psubscribe("__keyevent@*")

        def heard(channel):
            base.until(lambda: (m := hearing.get_message(timeout=0.1)) is not None and
                       m["channel"] == channel)
        with_reply = []
        thread = base.threading.Thread(
            target=lambda: with_reply.append(waiting.blpop(["q"], timeout=base.PATIENCE)))
        thread.start()
        base.until(lambda: durable.info("clients")["blocked_clients"] == 1)
        client.rpush("q", "a")
        thread.join(base.PATIENCE)
        self.assertEqual(with_reply, [(b"q", b"a")])
        client.set("short", "v", px=50)
        heard(b"__keyevent@3__:expired")
        self.assertIsNone(client.get("short"))
        client.config_set("maxmemory-policy", "allkeys-random")
        fill(client, "k", 200)
        client.config_set("maxmemory", "50kb")
        heard(b"__keyevent@3__:evicted")

    # ---- words

    def test_the_start_says_what_is_kept_where(self):
        d, durable, client = self.cache("--db", "5", "memory", "7", "sync", "no")
        self.assertIn("databases with a policy of their own: 3 memory 5 memory 7 sync no", d.told())
        self.assertIn("databases that are kept in memory alone, and empty now: 3, 5\n", d.told())
        self.assertIn("there is no limit to what they take: set maxmemory", d.told())
        info = durable.info("oxbow")
        self.assertEqual([info.get(f"db{n}_sync") for n in (0, 3, 5, 7)], [None, "memory", "memory", "no"])
        self.assertEqual(d.end(), 0, d.told())
        d, _, _ = self.cache("--maxmemory", "1mb")
        self.assertNotIn("there is no limit", d.told())

    def test_settings_are_changed_and_written_and_hold_at_the_next_start(self):
        text = "db 3 memory\n# small\nmaxmemory 1mb\nport 0\n"
        d, durable = self.start(config=self.write("c.conf", text))
        want = {"maxmemory": "1048576", "maxmemory-policy": "noeviction", "maxmemory-samples": "5"}
        self.assertEqual(durable.config_get("maxmemory*"), want)
        durable.config_rewrite()
        with open(self.path("c.conf")) as file:
            self.assertEqual(file.read(), text)
        durable.config_set("maxmemory", "2mb")
        durable.config_set("maxmemory-policy", "volatile-ttl")
        durable.config_set("maxmemory-samples", 9)
        durable.config_rewrite()
        with open(self.path("c.conf")) as file:
            self.assertEqual(file.read(), "db 3 memory\n# small\nmaxmemory 2097152\nport 0\n"
                                          "# Generated by CONFIG REWRITE\nmaxmemory-policy volatile-ttl\n"
                                          "maxmemory-samples 9\n")
        self.assertEqual(d.end(), 0, d.told())
        d, durable = self.start(config=self.path("c.conf"))
        self.assertEqual(durable.config_get("maxmemory*"), {
            "maxmemory": "2097152", "maxmemory-policy": "volatile-ttl", "maxmemory-samples": "9"})
        self.assertEqual(durable.config_get("db"), {"db": "3 memory"})
        for value, why in (("4 memory", "from the start or not at all"),
                           ("3 sync always", "has no such policy")):
            with self.assertRaisesRegex(redis.exceptions.ResponseError, why):
                durable.config_set("db", value)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    base.PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
