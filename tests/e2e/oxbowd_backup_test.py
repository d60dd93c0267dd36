#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""oxbow backup of a running oxbowd and of a directory, oxbow restore, and what becomes of both when something goes wrong.

    oxbowd_backup_test.py OXBOWD OXBOW [TEST...]
"""
import fcntl
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import unittest

import oxbowd_cli_test as cli
import oxbowd_test as base
import redis


class Backup(cli.Asking):
    # The other tests of those classes are their own.
    locals().update({name: None for name in dir(cli.Asking) if name.startswith("test_")})

    def backup(self, d, *more, name="b"):
        return self.json("backup", self.path(name), *self.at(d), *more)

    def restore(self, name="b", to="restored"):
        said = self.json("restore", self.path(name), self.path(to))
        self.assertEqual(self.json("check", "-d", self.path(to))["verdict"], "sound")
        return said

    def serve(self, store):
        """A daemon on another directory than the first one's."""
        return self.start("--dir", self.path(store))

    def left(self, *known):
        """Nothing is here but the daemons' things and what the test has made."""
        return sorted(n for n in os.listdir(self.top)
                      if not n.startswith("log-") and n not in ("store", *known))

    # ---- of a running daemon

    def test_a_backup_is_one_moment_of_a_daemon_that_goes_on(self):
        d, client = self.start()
        stop, done = threading.Event(), [0]

        def write():
            mine = d.client()
            while not stop.is_set():
                n = done[0]
                pipe = mine.pipeline(transaction=True)
                pipe.rpush("list", n)
                pipe.xadd("stream", {"n": n}, id=f"{n + 1}-0")
                pipe.hset("hash", f"f{n % 500}", n)
                pipe.set("count", n)
                pipe.zadd("zset", {f"m{n}": n})
                pipe.execute()
                done[0] = n + 1

        big = os.urandom(200000)
        client.set("big", big)
        thread = threading.Thread(target=write)
        thread.start()
        try:
            base.until(lambda: done[0] > 500)
            before = done[0]
            said = self.backup(d)
            base.until(lambda before=done[0]: done[0] > before + 50)  # it goes on
        finally:
            stop.set()
            thread.join()
        self.assertEqual(os.stat(self.path("b")).st_size, said["bytes"])
        self.assertEqual(os.stat(self.path("b")).st_mode & 0o777, 0o600)
        self.assertEqual(self.left(), ["b"])
        end = done[0]
        restored = self.restore()
        self.assertEqual((restored["lsn"], restored["store"], restored["records"]),
                         (said["lsn"], said["store"], said["records"]))
        self.assertNotEqual(self.json("stat", "-d", self.path("restored"))["store"], said["store"])
        self.assertEqual(d.end(), 0)
        _, client = self.serve("restored")
        count = int(client.get("count")) + 1
        self.assertTrue(before <= count <= end, (before, count, end))
        numbers = [b"%d" % n for n in range(count)]
        self.assertEqual(client.lrange("list", 0, -1), numbers)
        self.assertEqual([(e, f[b"n"]) for e, f in client.xrange("stream")],
                         [(b"%d-0" % (n + 1), b"%d" % n) for n in range(count)])
        self.assertEqual(client.zrange("zset", 0, -1), [b"m" + n for n in numbers])
        self.assertEqual(client.hlen("hash"), min(count, 500))
        self.assertEqual(client.get("big"), big)
        client.rpush("list", "more")

    def test_an_idle_one_and_an_empty_one(self):
        d, client = self.start()
        self.backup(d)
        for n in range(50):
            client.rpush("q", n)
        first = self.backup(d, "--force")
        self.assertEqual(self.backup(d, "--force")["lsn"], first["lsn"])  # nothing has happened
        text = self.oxbow("backup", self.path("text"), *self.at(d)).stdout.decode()
        self.assertRegex(text, rf"lsn +{first['lsn']}\n")
        self.restore("text")
        self.assertEqual(d.end(), 0)

    def test_a_full_store_is_backed_up_and_restored_full(self):
        d, client = self.start("--quota", "4mb", "--appendfsync", "everysec")
        pushed = 0
        refused = 0
        while refused < 3:  # also after a checkpoint
            try:
                client.rpush("q", b"%08d" % pushed * 200)
                pushed += 1
                refused = 0
            except redis.exceptions.ResponseError as full:
                self.assertIn("OOM", str(full))
                refused += 1
                client.execute_command("WAITAOF", 1, 0, 0)
        self.assertGreater(pushed, 1000)
        said = self.backup(d)
        self.assertGreater(said["bytes"], 2 << 20)
        self.assertTrue(client.lpop("q"))  # it can still be emptied
        self.restore()
        self.assertEqual(d.end(), 0)
        _, client = self.start("--dir", self.path("restored"), "--quota", "4mb")
        self.assertEqual(client.llen("q"), pushed)
        for n in range(pushed):
            self.assertEqual(client.lpop("q"), b"%08d" % n * 200)
        client.rpush("q", "there is room")

    def test_of_a_directory(self):
        d, client = self.start()
        client.rpush("q", *range(1000))
        locked = self.told("backup", self.path("b"), "-d", self.path("store"))
        self.assertIn(f"in use by process {d.process.pid}", locked)
        d.process.kill()  # what is in the journal alone is in the backup
        d.process.wait()
        self.json("backup", self.path("b"), "-d", self.path("store"))
        self.restore()
        _, client = self.serve("restored")
        self.assertEqual(client.llen("q"), 1000)
        self.assertIn("no store is there", self.told("backup", self.path("c"), "-d",
                                                     self.path("nothing")))
        self.assertEqual(self.left("b", "restored"), [])

    # ---- names

    def test_what_is_there_stays(self):
        d, client = self.start()
        client.set("k", "v")
        self.write("b", "precious")
        self.assertIn("is there already (--force replaces it)",
                      self.told("backup", self.path("b"), *self.at(d)))
        self.assertIn("is no file", self.told("backup", self.top, *self.at(d), "--force"))
        self.assertIn("No such file", self.told("backup", self.path("no/b"), *self.at(d)))
        with open(self.path("b")) as file:
            self.assertEqual(file.read(), "precious")
        self.write("b.part", "left by one that was killed" * 100000)
        self.backup(d, "--force")
        self.assertEqual(self.left(), ["b"])
        self.write("b.part", "")
        with open(self.path("b.part")) as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            self.assertIn("another backup is writing it",
                          self.told("backup", self.path("b"), *self.at(d), "--force"))
        os.unlink(self.path("b.part"))
        os.mkdir(self.path("full"))
        self.write("full/file", "")
        self.assertIn("not empty", self.told("restore", self.path("b"), self.path("full")))
        self.assertIn("not empty", self.told("restore", self.path("b"), self.path("store")))
        self.assertIn("Not a directory", self.told("restore", self.path("b"), self.path("b")))
        os.mkdir(self.path("to.part"))
        self.assertIn("another restore", self.told("restore", self.path("b"), self.path("to")))
        os.rmdir(self.path("to.part"))
        os.mkdir(self.path("to"))
        self.restore(to="to/")
        self.assertIn("no such file", self.told("restore", self.path("none"), self.path("x")))
        self.assertIn("OXBOW_E", self.told("restore", self.path("b"), self.path("no/x")))
        self.assertEqual(self.left(), ["b", "full", "to"])

    def test_a_damaged_file_is_no_store(self):
        d, client = self.start()
        client.rpush("q", *range(10000))
        self.backup(d)
        with open(self.path("b"), "rb") as file:
            whole = file.read()
        for name, data in (("short", whole[:-1]), ("long", whole + b"x"), ("empty", b""),
                           ("flip", whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:])):
            with open(self.path(name), "wb") as file:
                file.write(data)
            self.assertIn("damaged, or cut short",
                          self.told("restore", self.path(name), self.path("x")))
        self.write("other", "something else that is no backup" * 100)
        self.assertIn("no backup", self.told("restore", self.path("other"), self.path("x")))
        self.assertEqual(self.left("b", "short", "long", "empty", "flip", "other"), [])

    # ---- what goes wrong

    def test_a_damaged_store_has_no_backup(self):
        d, client = self.start()
        for n in range(200):
            client.set(f"key{n}", f"value {n} " * 100)
        self.assertEqual(d.end(), 0)
        path = self.path("store/data.mdb")
        with open(path, "r+b") as file:
            data = file.read()
            at = data.index(b"value 77 value 77")
            file.seek(at + 20)
            file.write(b"X")
        d, client = self.start()
        told = self.told("backup", self.path("b"), *self.at(d))
        self.assertIn("damaged", told)
        self.assertIn("oxbow repair", told)
        self.assertTrue(client.ping())
        self.assertEqual(client.get("key78"), b"value 78 " * 100)
        self.assertEqual(self.left(), [])
        self.assertEqual(d.end(), 0)
        with open(path, "rb") as file:
            before = file.read()
        told = self.told("backup", self.path("b"), "-d", self.path("store"))
        self.assertIn("damaged", told)
        self.assertIn("oxbow repair", told)
        with open(path, "rb") as file:  # it is no backup's business to mend
            self.assertEqual(file.read()[at:at + 500], before[at:at + 500])
        self.assertEqual(self.left(), [])
        self.oxbow("repair", "-d", self.path("store"))
        self.json("backup", self.path("b"), "-d", self.path("store"))
        self.restore()

    def test_a_destination_without_room_leaves_nothing(self):
        d, client = self.start()
        client.set("big", os.urandom(1 << 20))

        def small():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (300000, 300000))

        done = subprocess.run([cli.CLI, "backup", self.path("b"), *self.at(d)],
                              capture_output=True, preexec_fn=small, timeout=base.PATIENCE)
        self.assertEqual(done.returncode, 3)
        self.assertIn(b"b.part: File too large", done.stderr)
        self.assertEqual(self.left(), [])
        self.backup(d)
        done = subprocess.run([cli.CLI, "restore", self.path("b"), self.path("x")],
                              capture_output=True, preexec_fn=small, timeout=base.PATIENCE)
        self.assertEqual(done.returncode, 3)
        self.assertEqual(self.left(), ["b"])
        self.restore()

    def play(self, answers):
        """A daemon of the test's own: what it says to READ, in turn, the last for ever."""
        listener = socket.create_server(("127.0.0.1", 0))
        info = b"server_name:oxbow\r\n"
        asked = threading.Event()

        def run():
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            left = list(answers)
            with peer:
                while True:
                    words = peer.recv(1 << 16)
                    if not words:
                        return
                    if b"READ" in words:
                        asked.set()
                        peer.sendall(left.pop(0) if len(left) > 1 else left[0])
                    elif b"INFO" in words:
                        peer.sendall(b"$%d\r\n%s\r\n" % (len(info), info))
                    else:
                        peer.sendall(b"+OK\r\n")

        thread = threading.Thread(target=run)
        thread.start()

        def end():
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            thread.join()

        self.addCleanup(end)
        return f"127.0.0.1:{listener.getsockname()[1]}", asked

    @staticmethod
    def piece(state, data=b""):
        return b"*5\r\n+%s\r\n:1\r\n:2\r\n:3\r\n$%d\r\n%s\r\n" % (state, len(data), data)

    def test_what_a_daemon_sends_is_verified(self):
        junk = self.piece(b"ready", b"oxbackup" + b"junk" * 1000)
        for answers, words in (([junk, self.piece(b"end")], "damaged, or cut short"),
                               ([self.piece(b"end")], "damaged, or cut short"),
                               ([self.piece(b"ready", b"x" * 100), self.piece(b"end")], "no backup"),
                               ([junk, b"-ERR the backup has ended: why\r\n"], "it says: ERR the"),
                               ([b"+OK\r\n"], "does not know"), ([b"*0\r\n"], "does not know"),
                               ([b"*5\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n"], "does not know")):
            server, _ = self.play(answers)
            self.assertIn(words, self.told("backup", self.path("b"), "--server", server))
            self.assertEqual(self.left(), [])

    def test_ctrl_c_leaves_nothing(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            server, asked = self.play([self.piece(b"ready", b"x" * 5000), self.piece(b"wait")])
            process = subprocess.Popen([cli.CLI, "backup", self.path("b"), "--server", server],
                                       stderr=subprocess.PIPE)
            self.assertTrue(asked.wait(base.PATIENCE))
            base.until(lambda: os.path.exists(self.path("b.part")) and
                       os.stat(self.path("b.part")).st_size == 5000)
            process.send_signal(number)
            _, told = process.communicate(timeout=base.PATIENCE)
            self.assertEqual(process.returncode, 3)
            self.assertIn(b"interrupted", told)
            self.assertEqual(self.left(), [])

    def test_one_that_is_given_up_is_gone_from_the_daemon(self):
        d, client = self.start()
        client.set("k", "v")
        other = d.client()
        first = other.connection_pool.get_connection("x")
        first.send_command("OXBOW", "BACKUP", "BEGIN")
        self.assertEqual(first.read_response(), b"OK")
        self.assertIn("BUSY", self.told("backup", self.path("b"), *self.at(d)))
        first.disconnect()

        def free():
            done = subprocess.run([cli.CLI, "backup", self.path("b"), *self.at(d)],
                                  capture_output=True, timeout=base.PATIENCE)
            return done.returncode == 0

        base.until(free)
        self.restore()
        self.assertEqual(d.end(), 0)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    base.PROGRAM, cli.CLI = (os.path.abspath(p) for p in sys.argv[1:3])
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])
