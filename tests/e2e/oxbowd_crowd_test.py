#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""As many connections as there may be, most of which say nothing or stop in the middle of a word.

    oxbowd_crowd_test.py PROGRAM [TEST...]
"""
import os
import resource
import signal
import socket
import subprocess
import sys
import unittest

import oxbowd_test as base
import redis

CROWD = 10000
SPARE = 300  # descriptors that a program needs beside its connections
BYTES_EACH = 16384  # of memory at most: what a read takes, until a second after it

# Connections of a process of its own: to be killed with all of them.
HOLDER = """
import resource, socket, sys
port, path, count, words = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4].encode()
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
held = []
for n in range(count):
    s = socket.socket(socket.AF_UNIX if n % 2 else socket.AF_INET)
    s.settimeout(60)
    s.connect(path if n % 2 else ("127.0.0.1", port))
    s.sendall(b"PING\\r\\n")
    said = s.recv(64)
    assert said == b"+PONG\\r\\n", (n, said)
    s.sendall(words)
    held.append(s)
print("held", flush=True)
sys.stdin.read()
"""


def memory(d):
    """Resident bytes of the daemon that are its own."""
    with open(f"/proc/{d.process.pid}/status") as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith("RssAnon:"))


class Crowd(base.Oxbowd):
    # The daemon's other tests are base's own.
    locals().update({name: None for name in dir(base.Oxbowd) if name.startswith("test_")})

    def hold(self, d, count, words=""):
        holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(d.port), self.path("sock"),
                                   str(count), words], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE)
        self.addCleanup(self.let_go, holder)
        self.assertEqual(holder.stdout.readline(), b"held\n")
        return holder

    @staticmethod
    def let_go(holder):
        if holder.poll() is None:
            holder.kill()
        holder.wait()
        holder.stdin.close()
        holder.stdout.close()

    def test_ten_thousand_that_say_nothing_keep_nobody_from_work(self):
        d, client = self.start("--unixsocket", self.path("sock"))
        empty = memory(d)
        peaks = []
        for how in ("hung up", "killed"):
            count = CROWD - 1 - 200
            holder = self.hold(d, count)
            peaks.append(memory(d))
            # And some whose request never ends, and some that wait for what never comes.
            halves = self.hold(d, 100, "*3\r\n$5\r\nLPUSH\r\n$4\r\nhalf\r\n$9\r\nval")
            waiting = self.hold(d, 100, "BLPOP never 0\r\n")
            base.until(lambda: client.info("clients")["blocked_clients"] == 100)
            self.assertEqual(client.info("clients")["connected_clients"], CROWD)
            for n in range(500):
                self.assertEqual(client.rpush("work", n), n + 1)
            self.assertEqual(client.lpop("work", 500), [b"%d" % n for n in range(500)])
            one_more = socket.create_connection(("127.0.0.1", d.port), timeout=base.PATIENCE)
            self.assertEqual(one_more.recv(100), b"-ERR max number of clients reached\r\n")
            one_more.close()
            for h in (holder, halves, waiting):
                if how == "killed":
                    h.send_signal(signal.SIGKILL)
                self.let_go(h)
            base.until(lambda: client.info("clients")["connected_clients"] == 1)
            self.assertEqual(client.info("clients")["blocked_clients"], 0)
            # Who was gone before the push is given nothing, and half a request does nothing.
            self.assertEqual(client.rpush("never", "v"), 1)
            self.assertEqual(client.lpop("never"), b"v")
            self.assertEqual(client.exists("half"), 0)
            print(f"{count} idle connections: {(peaks[-1] - empty) / count:.0f} bytes each")
        self.assertLess(peaks[0] - empty, CROWD * BYTES_EACH)
        self.assertLess(peaks[1] - empty, CROWD * BYTES_EACH)  # the first left nothing behind
        self.assertEqual(d.end(), 0)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < CROWD + SPARE:
        print(f"oxbowd_bears_a_crowd: skipped: no more than {hard} descriptors may be open here")
        sys.exit(77)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, CROWD + SPARE), hard))
    base.PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
