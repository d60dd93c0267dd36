#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Clients that never read, on real sockets: the daemon keeps no more for them than it says, closes them
as client-output-buffer-limit says, and serves everybody else meanwhile.

    oxbowd_limits_test.py PROGRAM [TEST...]
"""
import os
import re
import socket
import sys
import threading
import time
import unittest

import oxbowd_test as base

MIB = 1 << 20
CLOSED = "closed for overcoming of output buffer limits"


def request(*words):
    words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


class Mute:
    """A socket that sends and does not read."""

    def __init__(self, d):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        self.socket.settimeout(base.PATIENCE)
        self.socket.connect(("127.0.0.1", d.port))
        self.addr = "%s:%d" % self.socket.getsockname()

    def send(self, *words):
        self.socket.sendall(request(*words))

    def told(self, count):
        """The first bytes of what it was told."""
        got = b""
        while len(got) < count:
            part = self.socket.recv(count - len(got))
            assert part, got
            got += part
        return got

    def ends(self):
        """Whether the peer has closed, once all that had come is read."""
        try:
            while self.socket.recv(MIB):
                pass
        except ConnectionResetError:
            pass
        return True


class Others(threading.Thread):
    """A client that is served all the while; an error of it is the test's."""

    def __init__(self, d):
        super().__init__()
        self.client = d.client()
        self.served = 0
        self.over = False
        self.error = None

    def run(self):
        try:
            while not self.over:
                self.client.rpush("others", self.served)
                assert self.client.lpop("others") == b"%d" % self.served
                self.served += 1
        except Exception as error:  # the thread's end must not hide it
            self.error = error

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over = True
        self.join()
        assert self.error is None, self.error
        assert self.served > 0


class Limits(base.Oxbowd):
    # The daemon's other tests are base's own.
    locals().update({name: None for name in dir(base.Oxbowd) if name.startswith("test_")})

    def of(self, d, mute):
        """The daemon's line of the connection; None: it is gone."""
        return next((c for c in d.client().client_list() if c["addr"] == mute.addr), None)

    def closed(self, client):
        return client.info("stats")["client_output_buffer_limit_disconnections"]

    def memory(self, d):
        """What the process has of the machine's memory; None: a sanitizer has it."""
        with open(f"/proc/{d.process.pid}/status") as file:
            status = dict(re.findall(r"^(VmSize|VmRSS):\s+(\d+) kB", file.read(), re.M))
        return None if int(status["VmSize"]) > 1 << 30 else int(status["VmRSS"]) << 10

    def assert_grew_less(self, d, before, most):
        now = self.memory(d)
        if now is not None:
            self.assertLess(now - before, most)

    # ---- words

    def test_what_is_wrong_is_told_with_the_line_and_nothing_starts(self):
        option = "client-output-buffer-limit"
        for line, says in ((f"{option}", "has no value"),
                           (f"{option} normal 1 2", "takes CLASS HARD SOFT SECONDS"),
                           (f"{option} normal 0 0 0 pubsub", "takes CLASS HARD SOFT SECONDS"),
                           (f"{option} everybody 1 2 3", "'everybody' is no class of clients"),
                           (f"{option} normal 1.5mb 0 0", "'1.5mb' is no size like"),
                           (f"{option} normal 0 -1 0", "'-1' is no size like"),
                           (f"{option} normal 0 0 1m", "'1m' is no number of seconds"),
                           (f"{option} normal 0 0 4294967296", "is no number of seconds")):
            path = self.write("wrong.conf", "port 0\n" + line + "\n")
            self.assertIn(f"wrong.conf:2: {option}: ", base.refused(path, cwd=self.top), line)
            self.assertIn(says, base.refused(path, cwd=self.top), line)
        self.assertEqual(os.listdir(self.top), ["wrong.conf"])

    def test_names_max_has_a_least_and_a_most(self):
        for number in (1, 31, 1048577):
            path = self.write("wrong.conf", f"port 0\nunixsocket s\nnames-max {number}\n")
            self.assertIn("names-max: ", base.refused(path, cwd=self.top))
        self.assertEqual(os.listdir(self.top), ["wrong.conf"])
        for number in (0, 32, 1048576):
            d, _ = self.start("--names-max", str(number))
            self.assertEqual(d.client().config_get("names-max"), {"names-max": str(number)})
            self.assertEqual(d.end(), 0)

    def test_file_and_command_line_say_it_class_by_class(self):
        d, client = self.start(
            "--client-output-buffer-limit", "pubsub", "3mb", "1k", "5",
            config=self.write("c.conf", "client-output-buffer-limit normal 64mb 32mb 10\n"
                                        "Client-Output-Buffer-Limit Slave 1 2 3 pubsub 7 7 7\n"))
        self.assertEqual(client.config_get("client-output-buffer-limit"), {
            "client-output-buffer-limit":
                "normal 67108864 33554432 10 slave 1 2 3 pubsub 3145728 1000 5"})
        self.assertEqual(d.end(), 0, d.told())

    # ---- what is asked for and not read

    def ask(self, d, mute, replies):
        """Asks for large replies as long as the daemon takes requests; they are 4 MiB each."""
        mute.socket.settimeout(1)
        try:
            for _ in range(replies):
                mute.send("GET", "large")
        except (TimeoutError, socket.timeout, ConnectionError):
            pass
        mute.socket.settimeout(base.PATIENCE)

    def test_large_replies_are_bounded_without_any_limit_and_closed_at_the_hard_one(self):
        d, client = self.start()
        client.set("large", b"x" * (4 * MIB))
        before = self.memory(d)
        with Others(d):
            mute = Mute(d)
            self.ask(d, mute, 300)
            base.until(lambda: int(self.of(d, mute)["omem"]) > MIB)
            self.assertLess(int(self.of(d, mute)["omem"]), 16 * MIB)  # and not 1,200
            self.assert_grew_less(d, before, 64 * MIB)
            self.assertEqual(self.closed(client), 0)
            # A limit that is set now counts for those who are there.
            client.config_set("client-output-buffer-limit", "normal 2mb 0 0")
            base.until(lambda: self.of(d, mute) is None)
            self.assertTrue(mute.ends())
            self.assertEqual(self.closed(client), 1)
            again = Mute(d)
            again.send("GET", "large")  # and for one reply alone
            base.until(lambda: self.closed(client) == 2)
            self.assertTrue(again.ends())
        self.assertEqual(d.end(), 0, d.told())
        self.assertEqual(d.told().count(f"{CLOSED}: hard limit: client id="), 2, d.told())
        self.assertIn(f"addr={mute.addr} ", d.told())

    def test_above_the_soft_limit_it_is_closed_after_its_time(self):
        d, client = self.start("--client-output-buffer-limit", "normal", "0", "1mb", "1")
        client.set("large", b"x" * (MIB // 2))
        with Others(d):
            mute = Mute(d)
            self.ask(d, mute, 300)
            base.until(lambda: self.closed(client) == 1)
            self.assertTrue(mute.ends())
        self.assertEqual(d.end(), 0, d.told())
        self.assertEqual(d.told().count(f"{CLOSED}: soft limit: client id="), 1, d.told())

    # ---- what others bring about

    def test_a_subscriber_is_closed_at_redis_own_limit_and_who_reads_is_told_everything(self):
        d, client = self.start()
        mute = Mute(d)
        mute.send("SUBSCRIBE", "news")
        self.assertEqual(mute.told(9), b"*3\r\n$9\r\ns")
        reader = d.client().pubsub()
        reader.subscribe("news")
        base.until(lambda: client.publish("news", "begin") == 2)
        before = self.memory(d)
        text = b"m" * MIB
        heard = [0]

        def read():
            for message in reader.listen():
                if message["data"] == b"end":
                    return
                heard[0] += message["data"] == text

        listener = threading.Thread(target=read)
        listener.start()
        with Others(d):
            for n in range(200):
                client.publish("news", text)
                # Who reads is no faster than this machine: it must not be closed instead.
                base.until(lambda: heard[0] >= n - 3)
                if n % 20 == 0:
                    self.assert_grew_less(d, before, 160 * MIB)
        client.publish("news", "end")
        listener.join(base.PATIENCE)
        self.assertEqual(heard[0], 200)
        self.assertIsNone(self.of(d, mute))
        self.assertEqual(self.closed(client), 1)
        self.assertTrue(mute.ends())
        self.assertEqual(client.publish("news", "x"), 1)
        self.assertEqual(d.end(), 0, d.told())
        self.assertEqual(d.told().count(f"{CLOSED}: hard limit: client id="), 1, d.told())

    def test_who_monitors_and_does_not_read_is_closed(self):
        d, client = self.start("--client-output-buffer-limit", "normal", "8mb", "0", "0")
        mute = Mute(d)
        mute.send("MONITOR")
        self.assertEqual(mute.told(5), b"+OK\r\n")
        before = self.memory(d)
        with Others(d):
            for n in range(300):
                client.set("k", b"v" * 200000)
                if n % 20 == 0:
                    self.assert_grew_less(d, before, 128 * MIB)
            base.until(lambda: self.closed(client) == 1)
        self.assertIsNone(self.of(d, mute))
        self.assertTrue(mute.ends())
        self.assertEqual(d.end(), 0, d.told())
        self.assertIn("flags=O", d.told())

    def test_whatever_the_limits_are_there_is_one_for_all(self):
        d, client = self.start("--client-reply-limit", "4mb",
                               "--client-output-buffer-limit", "pubsub", "0", "0", "0")
        mute = Mute(d)
        mute.send("SUBSCRIBE", "news")
        self.assertEqual(mute.told(4), b"*3\r\n")
        end = time.monotonic() + base.PATIENCE
        while client.publish("news", b"m" * 100000) == 1:
            self.assertLess(time.monotonic(), end)
        self.assertEqual(self.closed(client), 1)
        self.assertEqual(d.end(), 0, d.told())
        self.assertIn(f"{CLOSED}: client-reply-limit: client id=", d.told())


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    base.PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
