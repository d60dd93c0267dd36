#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the program oxbow asks of a running daemon, and what it says when there is none.

    oxbowd_cli_test.py OXBOWD OXBOW [TEST...]
"""
import fcntl
import json
import os
import pty
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import unittest

import oxbowd_test as base
from rig.ports import free_port

CLI = ""


class Asking(base.Oxbowd):
    # The daemon's other tests are base's own.
    locals().update({name: None for name in dir(base.Oxbowd) if name.startswith("test_")})

    def oxbow(self, *args, code=0, env=None):
        plain = {k: v for k, v in os.environ.items()
                 if k not in ("REDISCLI_AUTH", "OXBOW_SERVER", "OXBOW_DIR")}
        done = subprocess.run([CLI, *args], capture_output=True, timeout=4 * base.PATIENCE,
                              env={**plain, **(env or {})}, cwd=self.top)
        self.assertEqual(done.returncode, code, (args, done))
        return done

    def told(self, *args, code=3, env=None):
        """What it complains of, and that nothing else is printed."""
        done = self.oxbow(*args, code=code, env=env)
        self.assertEqual(done.stdout, b"")
        text = done.stderr.decode()
        self.assertTrue(text.startswith("oxbow: "), text)
        return text

    def json(self, *args, **kw):
        return json.loads(self.oxbow(*args, "--json", **kw).stdout)

    def at(self, d):
        return ("--server", f"127.0.0.1:{d.port}")

    # ---- answers

    def test_ping_says_who_answers(self):
        d, _ = self.start()
        said = self.json("ping", *self.at(d))
        self.assertEqual(said["server"], f"127.0.0.1:{d.port}")
        self.assertEqual(said["process"], d.process.pid)
        self.assertGreater(said["round_trip_us"], 0)
        self.assertRegex(said["serves"], r"^7\.")
        text = self.oxbow("ping", *self.at(d)).stdout.decode()
        self.assertRegex(text, rf"process +{d.process.pid}\n")
        self.assertEqual(self.json("ping", env={"OXBOW_SERVER": f"localhost:{d.port}"})["process"],
                         d.process.pid)

    def test_a_unix_socket_is_a_path(self):
        path = self.path("sock")
        d, _ = self.start("--unixsocket", path)
        for server in (path, "unix:" + path, "./sock"):
            self.assertEqual(self.json("ping", "--server", server)["process"], d.process.pid)

    def test_stat_of_a_daemon_is_its_own_and_opens_nothing(self):
        d, client = self.start("--quota", "64mb")
        for n in range(100):
            client.rpush("q", n)
        client.execute_command("SELECT", 3)
        client.set("k", "v")
        said = self.json("stat", *self.at(d))
        self.assertEqual(said["keys"], 2)
        self.assertEqual(said["quota"], 64 << 20)
        self.assertEqual(said["policy"], "always")
        self.assertEqual(said["process"], d.process.pid)
        self.assertGreaterEqual(said["lsn_durable"], 101)
        self.assertEqual(said["lsn_durable"], said["lsn_applied"])
        self.assertEqual(said["in_memory"], "no")
        self.assertEqual(said["uplink"], "none")
        self.assertGreater(said["written"], 0)
        self.assertGreater(said["file"], 0)
        text = self.oxbow("stat", *self.at(d)).stdout.decode()
        self.assertRegex(text, r"quota +64\.0 MiB\n")
        self.assertNotIn(" -\n", text)  # it knows all that it is asked for
        # The directory is the daemon's: what opens it is told who has it, and how to ask that.
        locked = self.told("stat", "-d", self.path("store"))
        self.assertIn(f"in use by process {d.process.pid}", locked)
        self.assertIn("--server", locked)
        self.assertEqual(d.end(), 0)
        self.assertEqual(self.json("stat", "-d", self.path("store"))["store"], said["store"])

    def test_the_uplink_without_a_target_and_with_forwards(self):
        d, client = self.start()
        said = self.json("uplink", "status", *self.at(d))
        self.assertEqual((said["state"], said["forwards"]), ("none", []))
        self.assertIsNone(said["target"])
        done = self.oxbow("uplink", "status", *self.at(d))
        self.assertIn(b"there are no forwards", done.stderr)
        self.assertEqual(d.end(), 0)
        target = f"redis://127.0.0.1:{free_port()}"
        d, client = self.start("--uplink-target", target, "--uplink-device", "g-1",
                               "--uplink-spread-ms", "1")
        client.execute_command("OXBOW", "FORWARD", "ADD", "up.1", "STREAM", "readings")
        for n in range(7):
            client.xadd("readings", {"n": n})
        (forward,) = self.json("uplink", "status", *self.at(d))["forwards"]
        self.assertEqual((forward["forward"], forward["backlog"], forward["unsent"]),
                         ("up.1", 7, 7))
        self.assertEqual(forward["paused"], "no")
        base.until(lambda: self.json("uplink", "status", *self.at(d))["trouble"] == "link")
        said = self.json("uplink", "status", *self.at(d))
        self.assertEqual(said["target"][-5:], target[-5:])
        self.assertNotEqual(said["trouble_text"], "")
        text = self.oxbow("uplink", "status", *self.at(d)).stdout.decode()
        self.assertRegex(text, r"state +(waiting|connecting|closing)\n")
        self.assertRegex(text, r"forward +state.*\nup\.1 ")
        self.assertEqual(self.json("stat", *self.at(d))["backlog"], 7)

    def test_passwords_come_by_file_and_environment(self):
        users = self.write("users.conf", "requirepass 'top secret'\n"
                                         "user eve on >pass +ping +info\nuser bob on >pass +ping\n")
        config = self.write("oxbowd.conf", f"include {users}\n")
        d = self.start(config=config, wait=False)
        d.ready(password="top secret")
        right = self.write("right", "top secret\n")
        self.oxbow("ping", *self.at(d), "--password-file", right)
        self.oxbow("ping", *self.at(d), env={"REDISCLI_AUTH": "top secret"})
        self.oxbow("ping", *self.at(d), "--user", "eve", env={"REDISCLI_AUTH": "pass"})
        # The file is said on purpose: it counts before the environment.
        self.oxbow("ping", *self.at(d), "--password-file", right, env={"REDISCLI_AUTH": "x"})
        self.assertIn("wants a password", self.told("ping", *self.at(d)))
        self.assertIn("wrong user or password",
                      self.told("stat", *self.at(d), env={"REDISCLI_AUTH": "no"}))
        self.assertIn("wrong user or password",
                      self.told("ping", *self.at(d), "--user", "nobody",
                                env={"REDISCLI_AUTH": "pass"}))
        self.assertIn("NOPERM", self.told("ping", *self.at(d), "--user", "bob",
                                          env={"REDISCLI_AUTH": "pass"}))
        self.assertIn("--user needs a password", self.told("ping", "--user", "eve", code=2))
        for name, text in (("empty", ""), ("blank", "\nx\n"), ("long", "x" * 2000)):
            self.assertIn("cannot be read, or is empty",
                          self.told("ping", *self.at(d), "--password-file", self.write(name, text),
                                    code=2))
        self.assertIn("cannot be read",
                      self.told("ping", *self.at(d), "--password-file", "/none", code=2))

    # ---- top

    def test_top_is_one_picture_where_there_is_no_terminal(self):
        d, client = self.start()
        client.rpush("queue", *range(5))
        client.xadd("readings", {"n": 1})
        client.set("text", "abc")
        text = self.oxbow("top", *self.at(d), "--interval", "50ms", "queue", "readings", "text",
                          "no\x1b[2J").stdout.decode()
        self.assertNotIn("\x1b", text)
        self.assertIn(f"process {d.process.pid}", text)
        for key, kind, length in (("queue", "list", 5), ("readings", "stream", 1),
                                  ("text", "string", 3)):
            self.assertRegex(text, rf"\n{key} +{kind} +{length} +\+0\n")
        self.assertRegex(text, r"\nno\?\[2J +none +- +-\n")
        for row in ("commands", "commits", "syncs", "used", "written"):
            self.assertRegex(text, rf"\n{row} ")
        self.assertNotIn("uplink", text)
        self.assertLessEqual(max(map(len, text.split("\n"))), 100)
        text = self.oxbow("top", *self.at(d), "--interval", "10ms", "-c", "3").stdout.decode()
        self.assertEqual(text.count("oxbow top - "), 3)
        self.assertEqual(text.count("\x1b"), 0)
        for span in ("0", "x", "2h"):
            self.assertIn("a span like", self.told("top", "--interval", span, code=2))

    def on_terminal(self, d, *args, rows=24, columns=80):
        """Top on a terminal of that size: the process, and what it has drawn so far."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        process = subprocess.Popen([CLI, "top", *self.at(d), "--interval", "20ms", *args],
                                   stdout=theirs, stderr=subprocess.PIPE)
        os.close(theirs)
        self.addCleanup(os.close, ours)
        self.addCleanup(process.stderr.close)
        drawn = bytearray()

        def until(words):
            while words not in drawn:
                ready, _, _ = select.select([ours], [], [], base.PATIENCE)
                self.assertTrue(ready, drawn)
                try:
                    more = os.read(ours, 1 << 16)
                except OSError:  # the other side is closed
                    more = b""
                self.assertTrue(more, drawn)
                drawn.extend(more)

        return process, drawn, until

    def test_top_gives_the_terminal_back(self):
        d, client = self.start("--uplink-target", f"redis://127.0.0.1:{free_port()}",
                               "--uplink-device", "g-1")
        for n in range(40):
            client.execute_command("OXBOW", "FORWARD", "ADD", f"f{n}", "STREAM", f"s{n}")
        for rows, columns, number in ((24, 80, signal.SIGINT), (30, 132, signal.SIGTERM)):
            process, drawn, until = self.on_terminal(d, "key", rows=rows, columns=columns)
            until(b"\x1b[J\x1b[Hoxbow top")  # a second picture over the first
            process.send_signal(number)
            until(b"\x1b[?25h\x1b[?1049l")
            self.assertEqual(process.wait(base.PATIENCE), 0)
            self.assertTrue(drawn.startswith(b"\x1b[?1049h\x1b[?25l"))
            self.assertTrue(drawn.endswith(b"\x1b[?25h\x1b[?1049l"))
            picture = drawn.split(b"\x1b[H")[1].split(b"\x1b[J")[0]
            lines = picture.replace(b"\x1b[K", b"").decode().split("\r\n")
            self.assertEqual(len(lines), rows)  # the forwards would take more
            self.assertLessEqual(max(map(len, lines)), columns)
            self.assertRegex(picture.decode(), r"uplink +(waiting|connecting|closing) ")
            self.assertRegex(picture.decode(), r"\nf1 +new +0 +0 B +0")

    def test_top_tells_when_the_daemon_goes(self):
        d, _ = self.start()
        process, drawn, until = self.on_terminal(d)
        until(b"\x1b[J")
        self.assertEqual(d.end(), 0)
        until(b"\x1b[?1049l")
        self.assertEqual(process.wait(base.PATIENCE), 3)
        self.assertIn(b"it closed the connection", process.stderr.read())
        self.assertNotIn(b"it closed", drawn)

    # ---- nobody, or somebody else

    def test_where_nobody_listens(self):
        for server in (f"127.0.0.1:{free_port()}", self.path("none")):
            for words in (["ping"], ["stat"], ["uplink", "status"]):
                text = self.told(*words, "--server", server)
                self.assertIn(server, text)
                self.assertIn("nobody listens there", text)

    def test_addresses_that_are_none(self):
        for server in ("host:", "host:x", "host:0", "host:65536", ":", "host:12x", ":6379"):
            self.assertIn("want HOST:PORT", self.told("ping", "--server", server, code=2), server)
        self.assertIn("too long", self.told("ping", "--server", "x" * 2000, code=2))
        self.assertIn("do not go together",
                      self.told("stat", "--server", "x", "-d", self.top, code=2))
        for span in ("0", "x", "-1", "2h"):
            self.assertIn("a span like", self.told("ping", "--timeout", span, code=2))

    def test_a_real_redis_is_told_apart(self):
        path = self.path("redis.sock")
        redis = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", path, "--save", "",
                                  "--dir", self.top], stdout=subprocess.DEVNULL)
        try:
            base.until(lambda: os.path.exists(path))
            text = self.told("ping", "--server", path)
            self.assertRegex(text, r"this is not oxbowd but a Redis \d+\.\d+")
            self.assertIn("not oxbowd", self.told("stat", "--server", path))
        finally:
            redis.kill()
            redis.wait()

    def listen(self, serve):
        """A server of the test's own; gives its address."""
        listener = socket.create_server(("127.0.0.1", 0))

        def run():
            try:
                while True:
                    peer, _ = listener.accept()
                    with peer:
                        serve(peer)
            except OSError:
                pass

        thread = threading.Thread(target=run)
        thread.start()

        def end():
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            thread.join()

        self.addCleanup(end)
        return f"127.0.0.1:{listener.getsockname()[1]}"

    def test_who_never_answers_is_given_up(self):
        quiet = self.listen(lambda peer: peer.recv(1 << 16) and peer.recv(1))
        text = self.told("ping", "--server", quiet, "--timeout", "300ms")
        self.assertIn("no answer within 300 ms", text)

    def test_who_speaks_something_else(self):
        def web(peer):
            peer.recv(1 << 16)
            peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        self.assertIn("does not speak the Redis protocol",
                      self.told("ping", "--server", self.listen(web)))

        def gone(peer):
            peer.recv(1 << 16)

        self.assertIn("closed the connection", self.told("ping", "--server", self.listen(gone)))

    def test_what_comes_of_hostile_answers(self):
        for answer in (b"*1\r\n$3\r\nabc\r\n", b":12\r\n", b"$-1\r\n", b"*-1\r\n", b"*0\r\n",
                       b"+\r\n", b"$0\r\n\r\n", b"$5\r\n\x1b[2J\n\r\n"):
            def say(peer, answer=answer):
                while peer.recv(1 << 16):
                    peer.sendall(answer)

            self.assertIn("not oxbowd", self.told("ping", "--server", self.listen(say)), answer)

        def claim(peer):
            while peer.recv(1 << 16):
                info = b"server_name:oxbow\r\nprocess_id:99999999999999999999999\r\nx\r\n:\r\n"
                peer.sendall(b"$%d\r\n%s\r\n" % (len(info), info))

        said = self.json("stat", "--server", self.listen(claim))
        self.assertEqual(said["process"], str(2**64 - 1))
        self.assertIsNone(said["quota"])

        def refuse(peer):
            while peer.recv(1 << 16):
                peer.sendall(b"-ERR \x1b[2J" + b"x" * 5000 + b"\r\n")

        text = self.told("ping", "--server", self.listen(refuse))
        self.assertLess(len(text), 500)
        self.assertNotIn("\x1b", text)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    base.PROGRAM, CLI = (os.path.abspath(p) for p in sys.argv[1:3])
    if shutil.which("redis-server") is None:
        print("oxbowd_tells_its_operator: skipped: redis-server is not installed")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])
