#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Redis Sentinel and the daemon, both ways: clients that ask the daemon's own sentinel where their
master is, and a real redis-sentinel that watches the daemon.

    oxbowd_sentinel_test.py PROGRAM [TEST...]
"""
import os
import shutil
import socket
import subprocess
import sys
import time
import unittest

import oxbowd_test as base
import redis
from redis.sentinel import MasterNotFoundError, Sentinel
from rig.ports import free_port

NAME = "mymaster"
PATIENCE = base.PATIENCE


def lan_address():
    """An address of this machine's that others could come to; None: it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
            address = probe.getsockname()[0]
        except OSError:
            return None
    return None if address.startswith("127.") else address


def has_ipv6():
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
    return True


class Watcher:
    """A real redis-sentinel that watches one master, in a directory of its own."""

    def __init__(self, top, port, *lines, name=NAME, down_ms=2000):
        self.port = free_port()
        self.where = os.path.join(top, f"watcher-{self.port}")
        os.mkdir(self.where)
        self.log = os.path.join(self.where, "log")
        config = os.path.join(self.where, "sentinel.conf")
        with open(config, "w") as file:
            file.write("\n".join([f"port {self.port}", f"dir {self.where}",
                                  f"sentinel monitor {name} 127.0.0.1 {port} 1",
                                  f"sentinel down-after-milliseconds {name} {down_ms}",
                                  *lines]) + "\n")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(["redis-server", config, "--sentinel"], stdout=log,
                                            stderr=log, stdin=subprocess.DEVNULL, cwd=self.where)
        self.client = redis.Redis(port=self.port, socket_timeout=PATIENCE)
        base.until(self.serves)

    def serves(self):
        assert self.process.poll() is None, self.told()
        try:
            info = self.client.info("server")
        except redis.exceptions.ConnectionError:
            return False
        assert info["process_id"] == self.process.pid, "another one answers at the port"
        return True

    def state(self, name=NAME):
        fields = self.client.sentinel_master(name)
        return {field: str(value) for field, value in fields.items()}

    def until(self, what):
        end = time.monotonic() + 2 * PATIENCE
        while not what(self.state()):
            assert time.monotonic() < end, f"{self.state()}\n{self.told()}"
            time.sleep(0.05)
        return self.state()

    def told(self):
        with open(self.log, "rb") as log:
            return log.read().decode(errors="replace")

    def end(self):
        self.client.close()
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(PATIENCE)


def flags(state):
    return set(state["flags"].split(","))


class Asked(base.Oxbowd):
    # The daemon's other tests are base's own.
    locals().update({name: None for name in dir(base.Oxbowd) if name.startswith("test_")})

    def serve(self, *args, **kw):
        self.sentinel_port = free_port()
        return self.start("--sentinel-port", str(self.sentinel_port), *args, **kw)

    def sentinel(self, host="127.0.0.1", **kw):
        return Sentinel([(host, self.sentinel_port)], socket_timeout=PATIENCE, **kw)

    def ask(self, *words, host="127.0.0.1", **kw):
        client = redis.Redis(host=host, port=self.sentinel_port, socket_timeout=PATIENCE, **kw)
        try:
            return client.execute_command(*words)
        finally:
            client.close()

    # ---- clients

    def test_a_client_finds_its_master_and_works_with_it(self):
        d, direct = self.serve()
        sentinel = self.sentinel()
        self.assertEqual(sentinel.discover_master(NAME), ("127.0.0.1", d.port))
        self.assertEqual(sentinel.discover_slaves(NAME), [])
        master = sentinel.master_for(NAME, socket_timeout=PATIENCE)
        jobs = [b"job %d" % n for n in range(200)]
        for job in jobs:
            master.rpush("jobs", job)
        with master.pipeline() as pipe:
            pipe.hset("h", mapping={"a": 1, "b": 2}).incr("n").lrange("jobs", 0, -1)
            self.assertEqual(pipe.execute()[2], jobs)
        # Without replicas, who wants one reads from the master.
        reader = sentinel.slave_for(NAME, socket_timeout=PATIENCE)
        self.assertEqual(reader.lrange("jobs", 0, -1), jobs)
        self.assertEqual(direct.hgetall("h"), {b"a": b"1", b"b": b"2"})
        for ask in (lambda: direct.execute_command("SENTINEL MASTERS"),
                    lambda: direct.eval("return redis.call('sentinel', 'masters')", 0)):
            with self.assertRaises(redis.exceptions.ResponseError) as refused:
                ask()  # it is the other port's
            self.assertIn("nknown", str(refused.exception))
        with self.assertRaises(MasterNotFoundError):
            sentinel.discover_master("another")
        with self.assertRaises(MasterNotFoundError):
            self.sentinel(min_other_sentinels=1).discover_master(NAME)
        self.assertEqual(d.end(), 0, d.told())

    def test_a_client_comes_back_after_the_daemon_was_killed(self):
        d, _ = self.serve("--appendfsync", "always")
        master = self.sentinel().master_for(NAME, socket_timeout=PATIENCE)
        master.rpush("jobs", "one")
        d.process.kill()
        d.process.wait()
        with self.assertRaises(redis.exceptions.ConnectionError):
            master.rpush("jobs", "lost")
        again, _ = self.start("--sentinel-port", str(self.sentinel_port), port=d.port)
        master.rpush("jobs", "two")
        self.assertEqual(master.lrange("jobs", 0, -1), [b"one", b"two"])
        self.assertEqual(again.end(), 0, again.told())

    def test_the_address_is_the_one_that_the_client_came_to(self):
        lan = lan_address()
        hosts = ["127.0.0.1", "127.0.0.2"] + ([lan] if lan else []) + (["::1"] if has_ipv6() else [])
        d, _ = self.serve("--bind", "*", "-::1", "--protected-mode", "no")
        for host in hosts:
            found = self.sentinel(host).discover_master(NAME)
            self.assertEqual(found, (host, d.port))
            master = self.sentinel(host).master_for(NAME, socket_timeout=PATIENCE)
            master.rpush("hosts", host)
        self.assertEqual(master.lrange("hosts", 0, -1), [host.encode() for host in hosts])
        self.assertEqual(d.end(), 0, d.told())

    def test_the_configuration_can_say_another_address_and_other_names(self):
        d, client = self.serve("--sentinel-master-name", "jobs", "mymaster", "a.b-c_1",
                               "--replica-announce-ip", "192.0.2.7",
                               "--replica-announce-port", "7000")
        for name in ("jobs", NAME, "a.b-c_1"):
            self.assertEqual(self.sentinel().discover_master(name), ("192.0.2.7", 7000))
        self.assertEqual(client.config_get("sentinel-*"),
                         {"sentinel-port": str(self.sentinel_port),
                          "sentinel-master-name": "jobs mymaster a.b-c_1"})
        client.config_set("replica-announce-ip", "")
        client.config_set("replica-announce-port", "0")
        self.assertEqual(self.sentinel().discover_master("jobs"), ("127.0.0.1", d.port))
        self.assertEqual(d.end(), 0, d.told())

    def test_passwords_count_there_too(self):
        d = self.serve("--requirepass", "secret", "--user", "finder", "on", ">found",
                       "+sentinel|masters", "+sentinel|slaves", wait=False)
        d.ready(password="secret")
        with self.assertRaises(MasterNotFoundError):
            self.sentinel(password="secret").discover_master(NAME)  # the sentinel was told none
        with self.assertRaises(redis.exceptions.AuthenticationError):
            self.ask("SENTINEL MASTERS")
        sentinel = self.sentinel(sentinel_kwargs={"username": "finder", "password": "found",
                                                  "socket_timeout": PATIENCE})
        master = sentinel.master_for(NAME, password="secret", socket_timeout=PATIENCE)
        self.assertTrue(master.set("a", "1"))
        self.assertEqual(master.get("a"), b"1")
        with self.assertRaises(redis.exceptions.NoPermissionError):
            self.ask("SENTINEL MYID", username="finder", password="found")
        self.assertEqual(d.end(), 0, d.told())

    def test_nobody_comes_from_elsewhere_without_a_password(self):
        lan = lan_address()
        if lan is None:
            self.skipTest("this machine has no address but the loopback's")
        self.serve("--bind", "*")
        self.assertTrue(self.ask("PING"))
        with socket.create_connection((lan, self.sentinel_port), PATIENCE) as sock:
            self.assertTrue(sock.recv(4096).startswith(b"-DENIED "))

    def test_redis_cli_asks_it(self):
        d, _ = self.serve()
        done = subprocess.run(["redis-cli", "-p", str(self.sentinel_port), "sentinel",
                               "get-master-addr-by-name", NAME], capture_output=True,
                              timeout=PATIENCE, check=True)
        self.assertEqual(done.stdout.decode().split(), ["127.0.0.1", str(d.port)])
        done = subprocess.run(["redis-cli", "-3", "-p", str(self.sentinel_port), "get", "a"],
                              capture_output=True, timeout=PATIENCE)
        self.assertIn(b"ERR unknown command 'get'", done.stdout + done.stderr)
        with self.assertRaises(redis.exceptions.ConnectionError):  # as Redis, it just ends
            self.ask("SHUTDOWN")
        self.assertEqual(d.process.wait(PATIENCE), 0, d.told())

    # ---- what is wrong

    def test_what_is_wrong_is_told_before_anything_is_opened(self):
        for args, text in (
                (["--sentinel-port", "x"], "sentinel-port: 'x' is no number"),
                (["--sentinel-port", "65536"], "sentinel-port: 65536 is not from 0 to 65535"),
                (["--sentinel-port", "7000", "--port", "7000"], "sentinel-port: is port"),
                (["--sentinel-port", "7000", "--port", "0", "--unixsocket", "/tmp/x"],
                 "sentinel-port: needs port or tls-port"),
                (["--sentinel-master-name", "a", "b/c"], "sentinel-master-name: 'b/c' is no name"),
                (["--sentinel-master-name", ""], "sentinel-master-name: '' is no name"),
                (["--sentinel-master-name", "a", "b", "a"], "'a' is given twice"),
                (["--sentinel-master-name", *["n" * 250 + str(n) for n in range(5)]],
                 "sentinel-master-name: the names are longer than"),
                (["--sentinel-master-name"], "sentinel-master-name: has no value"),
                (["--replica-announce-ip", "a b"], "replica-announce-ip: 'a b' is no address"),
                (["--replica-announce-ip", "a" * 128], "replica-announce-ip: "),
                (["--replica-announce-port", "-1"], "replica-announce-port: '-1' is no number")):
            said = base.refused("--dir", self.path("store"), *args, cwd=self.top)
            self.assertIn(text, said)
        self.assertFalse(os.path.exists(self.path("store")))

    def test_a_port_in_use_is_told(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            said = base.refused("--dir", self.path("store"), "--port", str(free_port()),
                                "--sentinel-port", str(port), cwd=self.top)
        self.assertIn(f"cannot listen at 127.0.0.1:{port}: another program listens there", said)

    # ---- a real one watches

    def watch(self, *args, **kw):
        watcher = Watcher(self.top, *args, **kw)
        self.addCleanup(watcher.end)
        return watcher

    def test_a_real_sentinel_reports_it_up_and_away_and_back(self):
        d, client = self.start()
        run_id = client.info("server")["run_id"]
        watcher = self.watch(d.port)
        state = watcher.until(lambda s: s["runid"] == run_id)
        self.assertEqual(flags(state), {"master"})
        self.assertEqual((state["role-reported"], state["num-slaves"],
                          state["num-other-sentinels"]), ("master", "0", "0"))
        events = watcher.client.pubsub()
        events.psubscribe("*sdown")
        self.assertIsNotNone(events.get_message(timeout=PATIENCE))

        d.process.kill()
        d.process.wait()
        self.assertEqual(self.event(events), (b"+sdown", b"master mymaster 127.0.0.1 %d" % d.port))
        watcher.until(lambda s: "s_down" in flags(s))
        d, client = self.start(port=d.port)
        self.assertEqual(self.event(events), (b"-sdown", b"master mymaster 127.0.0.1 %d" % d.port))
        again = client.info("server")["run_id"]
        self.assertNotEqual(again, run_id)
        state = watcher.until(lambda s: s["runid"] == again and flags(s) == {"master"})
        events.close()

        # Clients that ask it find the daemon.
        sentinel = Sentinel([("127.0.0.1", watcher.port)], socket_timeout=PATIENCE)
        self.assertEqual(sentinel.discover_master(NAME), ("127.0.0.1", d.port))
        master = sentinel.master_for(NAME, socket_timeout=PATIENCE)
        master.rpush("jobs", "a", "b")
        self.assertEqual(client.lrange("jobs", 0, -1), [b"a", b"b"])
        with self.assertRaises(redis.exceptions.ResponseError) as refused:
            watcher.client.execute_command("SENTINEL FAILOVER", NAME)
        self.assertIn("NOGOODSLAVE", str(refused.exception))
        self.assertEqual(client.role()[0], b"master")
        self.assertEqual(d.end(), 0, d.told())

    def event(self, events):
        end = time.monotonic() + 2 * PATIENCE
        while time.monotonic() < end:
            message = events.get_message(timeout=1)
            if message is not None and message["type"] == "pmessage":
                return message["channel"], message["data"]
        self.fail("no event came")

    def test_real_sentinels_find_each_other_through_it(self):
        d, client = self.start()
        first, second = self.watch(d.port), self.watch(d.port)
        for watcher in (first, second):
            watcher.until(lambda s: s["num-other-sentinels"] == "1")
            self.assertEqual(flags(watcher.state()), {"master"})
        names = {entry["name"] for entry in client.client_list()}
        self.assertEqual({name.rsplit("-", 1)[1] for name in names
                          if name.startswith("sentinel-")}, {"cmd", "pubsub"})
        self.assertEqual(d.end(), 0, d.told())

    def test_a_real_sentinel_watches_with_a_user_of_its_own(self):
        d = self.start("--requirepass", "secret", "--user", "watcher", "on", ">seen", "+ping",
                       "+info", "+publish", "+subscribe", "+client|setname",
                       "&__sentinel__:hello", wait=False)
        client = d.ready(password="secret")
        run_id = client.info("server")["run_id"]
        watcher = self.watch(d.port, f"sentinel auth-user {NAME} watcher",
                             f"sentinel auth-pass {NAME} seen")
        other = self.watch(d.port, f"sentinel auth-user {NAME} watcher",
                           f"sentinel auth-pass {NAME} seen")
        for each in (watcher, other):
            each.until(lambda s: s["runid"] == run_id and flags(s) == {"master"} and
                       s["num-other-sentinels"] == "1")
        self.assertEqual(client.execute_command("ACL LOG"), [])
        self.assertEqual(d.end(), 0, d.told())


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    if shutil.which("redis-server") is None:
        print("oxbowd_is_found_by_sentinel: skipped: there is no redis-server")
        sys.exit(77)
    base.PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
