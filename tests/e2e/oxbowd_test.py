#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The daemon as its users meet it: how it starts, refuses and ends, with redis-cli, redis-benchmark
and redis-py for clients.

    oxbowd_test.py PROGRAM GATEWAY.md [TEST...]
"""
import glob
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from rig.ports import free_port

try:
    import redis
except ImportError:
    print("oxbowd_serves_who_comes: skipped: this Python has no redis (Debian: python3-redis)")
    sys.exit(77)

PROGRAM = ""
GATEWAY = ""
PATIENCE = 30


class Daemon:
    """One oxbowd at a free port, with its log in a file."""

    def __init__(self, top, *args, port=None, env=None, config=None):
        self.port = port or free_port()
        self.log = os.path.join(top, f"log-{time.monotonic_ns()}")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [PROGRAM, *([config] if config else []), "--port", str(self.port), "--dir",
                 os.path.join(top, "store"), *args],
                stderr=log, stdout=log, env={**os.environ, **(env or {})}, cwd=top)

    def ready(self, **kw):
        end = time.monotonic() + PATIENCE
        while True:
            try:
                client = self.client(**kw)
                client.ping()
                return client
            except redis.exceptions.ConnectionError:
                assert self.process.poll() is None, self.told()
                assert time.monotonic() < end, self.told()
                time.sleep(0.02)

    def client(self, **kw):
        kw.setdefault("socket_timeout", PATIENCE)
        return redis.Redis(port=self.port, **kw)

    def told(self):
        with open(self.log, "rb") as log:
            return log.read().decode()

    def end(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(PATIENCE)


def refused(*args, stdin=None, cwd=None):
    """What it says when it does not start."""
    done = subprocess.run([PROGRAM, *args], capture_output=True, timeout=PATIENCE, input=stdin,
                          cwd=cwd)
    assert done.returncode == 1, (args, done)
    text = done.stderr.decode()
    return text


def until(what):
    """Waits for what is to become true."""
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end, "what was waited for did not come"
        time.sleep(0.01)


class Oxbowd(unittest.TestCase):
    def setUp(self):
        self.top = tempfile.mkdtemp(prefix="oxbowd-")
        self.daemons = []

    def tearDown(self):
        for d in self.daemons:
            if d.process.poll() is None:
                d.process.kill()
                d.process.wait()
        shutil.rmtree(self.top)

    def start(self, *args, wait=True, **kw):
        d = Daemon(self.top, *args, **kw)
        self.daemons.append(d)
        return (d, d.ready()) if wait else d

    def path(self, name):
        return os.path.join(self.top, name)

    def write(self, name, text):
        with open(self.path(name), "w") as file:
            file.write(text)
        return self.path(name)

    def cli(self, d, *args, stdin=None):
        done = subprocess.run(["redis-cli", "-p", str(d.port), *args], capture_output=True,
                              timeout=PATIENCE, input=stdin)
        self.assertEqual(done.returncode, 0, done)
        return done.stdout.decode()

    # ---- words

    def test_help_and_version_and_the_configuration_alone(self):
        text = subprocess.run([PROGRAM, "--help"], capture_output=True, check=True).stdout.decode()
        for word in ("--bind", "--requirepass", "--appendfsync always|everysec|no", "--stand-in"):
            self.assertIn(word, text)
        self.assertEqual(subprocess.run([PROGRAM, "-v"], capture_output=True, check=True).stdout[:7],
                         b"oxbowd ")
        fine = self.write("fine.conf", 'port 7777\n# a comment\n\nrequirepass "a b\\x21"\nsave ""\n')
        done = subprocess.run([PROGRAM, fine, "--test-config"], capture_output=True, check=True,
                              cwd=self.top)
        self.assertIn(b"is right", done.stdout)
        self.assertEqual(os.listdir(self.top), ["fine.conf"])

    def test_what_is_wrong_is_told_with_file_line_and_option(self):
        cases = {
            "port 70000": "port: 70000 is not from 0 to 65535",
            "port 63x": "port: '63x' is no number",
            "port": "port: has no value",
            "port 1 2": "port: has too many values",
            "prot 6379": "prot: no such option",
            "appendfsync sometimes": "appendfsync: 'sometimes' is not one of: always, everysec, no",
            "quota 12q": "quota: '12q' is no size",
            "quota 99999999t": "quota: '99999999t' is no size",
            "unixsocketperm 9": "unixsocketperm: '9' is no octal number",
            "protected-mode maybe": "protected-mode: 'maybe' is neither yes nor no",
            "maxmemory 1x": "maxmemory: '1x' is no size",
            "maxmemory -1": "maxmemory: '-1' is no size",
            "maxmemory-policy lru": "maxmemory-policy: 'lru' is not one of: noeviction, "
                                    "allkeys-lru, allkeys-lfu, allkeys-random, volatile-lru, "
                                    "volatile-lfu, volatile-random, volatile-ttl",
            "maxmemory-samples 0": "maxmemory-samples: 0 is not from 1 to 64",
            "maxmemory-samples 65": "maxmemory-samples: 65 is not from 1 to 64",
            "daemonize yes": "daemonize: 'yes' is not one of",
            'requirepass "open': "quotes are not balanced",
            'requirepass "a"b': "quotes are not balanced",
            "include": "include: takes one file",
            "bind " + "1.2.3.4 " * 17: "bind: more than 16 addresses",
            "requirepass " + "x" * 300: "requirepass: longer than",
            "dir " + "x" * 5000: "the line is too long",
        }
        for line, words in cases.items():
            file = self.write("bad.conf", f"# first\n\n{line}\n")
            text = refused(file, cwd=self.top)
            self.assertIn(f"{file}:3: ", text, line)
            self.assertIn(words, text)
        self.assertIn("command line: port: 'x' is no number", refused("--port", "x"))
        self.assertIn("command line: nonsense: no such option", refused("--nonsense", "1"))
        self.assertIn("what is this", refused("-p", "1"))
        self.assertIn("No such file", refused(self.path("none.conf")))
        self.assertIn("nobody could come", refused("--port", "0"))
        self.assertIn("on-failure memory", refused("--stand-in", "/dev/shm/x"))
        self.assertIn("needs the journal", refused("--appendfsync", "no", "--journal", "no"))
        self.assertIn("oxbowd: maxmemory: is about databases that are kept in memory, and there is "
                      "none: say db N memory, too", refused("--maxmemory", "100mb"))
        self.assertIn("oxbowd: maxmemory-policy: is about databases that are kept in memory",
                      refused("--maxmemory-policy", "allkeys-lru"))
        self.assertIn("uplink-forward: 'jobs' would carry what is in database 3, which is kept in "
                      "memory", refused("--db", "3", "memory", "--uplink-target", "redis://x",
                                        "--uplink-forward", "jobs", "list", "jobs", "db", "3"))
        self.assertIn("-:1: port:", refused("-", stdin=b"port x\n"))
        self.assertEqual(os.listdir(self.top), ["bad.conf"])

    def test_files_include_files_but_not_for_ever(self):
        deep = self.write("deep.conf", "maxclients 7\nbad yes\n")
        file = self.write("top.conf", f"include {deep}\n")
        self.assertIn(f"{deep}:2: bad", refused(file))
        self.write("self.conf", f"include {self.path('self.conf')}\n")
        self.assertIn("nested too deep", refused(self.path("self.conf")))

    def test_a_file_of_redis_itself_is_understood(self):
        ours = "/etc/redis/redis.conf"
        if not os.path.exists(ours):
            self.skipTest("redis-server has no configuration here")
        with open(ours, errors="replace") as file:
            text = "".join(line for line in file if not line.startswith("daemonize"))
        file = self.write("redis.conf", text)
        done = subprocess.run([PROGRAM, file, "--test-config"], capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_it_lets_nobody_in_from_elsewhere_without_a_password(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(("192.0.2.1", 9))  # sends nothing: says which address would be ours
                ours = probe.getsockname()[0]
            except OSError:
                ours = "127.0.0.1"
        d, client = self.start("--bind", "0.0.0.0")
        self.assertIn("protected mode: there is no password", d.told())

        def said():
            with socket.create_connection((ours, d.port), timeout=PATIENCE) as from_elsewhere:
                from_elsewhere.sendall(b"PING\r\n")
                return from_elsewhere.recv(1000)

        if not ours.startswith("127."):
            self.assertEqual(said()[:8], b"-DENIED ")
            client.config_set("protected-mode", "no")
            self.assertEqual(said(), b"+PONG\r\n")
            client.config_set("protected-mode", "yes")
            client.config_set("requirepass", "pass word")
            self.assertEqual(said()[:7], b"-NOAUTH")
        self.assertEqual(d.end(), 0)
        d = self.start("--bind", "0.0.0.0", "--requirepass", "pass word", wait=False)
        client = d.ready(password="pass word")
        self.assertNotIn("protected mode", d.told())
        self.assertTrue(client.set("a", "1"))
        with self.assertRaises(redis.exceptions.AuthenticationError):
            d.client().get("a")
        with self.assertRaises(redis.exceptions.ResponseError):
            d.client(password="other").get("a")

    def test_users_come_from_the_configuration(self):
        file = self.write("conf", "user worker on >secret ~jobs:* +@list +ping\n"
                                  "user default on >root ~* &* +@all\n")
        d = self.start(config=file, wait=False)
        worker = d.ready(username="worker", password="secret")
        self.assertEqual(worker.rpush("jobs:1", "a"), 1)
        with self.assertRaises(redis.exceptions.NoPermissionError):
            worker.rpush("other", "a")
        with self.assertRaises(redis.exceptions.NoPermissionError):
            worker.get("jobs:1")
        self.assertEqual(d.client(password="root").acl_whoami(), "default")
        self.assertEqual(d.end(), 0)
        bad = self.write("bad", "user worker on +nonsense\n")
        self.assertIn("'+nonsense': Unknown command", refused(bad, "--port", str(free_port()),
                                                               "--dir", self.path("bad-store")))
        self.assertIn("does not go with user", refused(file, "--aclfile", "x"))
        self.assertEqual(refused("--requirepass", "x", "--aclfile", "x").split(" with ")[0],
                         "oxbowd: aclfile: does not go")
        missing = self.path("missing.acl")
        self.assertIn(f"reading file '{missing}': no such file",
                      refused("--aclfile", missing, "--port", str(free_port()), "--dir",
                              self.path("bad-store")))

    def test_options_are_told_by_config_get_and_passwords_of_keys_are_not(self):
        file = self.write("told.conf", "loglevel verbose\nquota 64mb\ntls-key-file-pass hidden\n"
                                       "unixsocketperm 700\nsupervised systemd\n")
        d, client = self.start("--bind", "127.0.0.1", "-::1", "--pidfile", self.path("told.pid"),
                               "--maxclients", "77", config=file)
        told = client.config_get("*")
        self.assertEqual({name: told.get(name) for name in (
            "bind", "tls-port", "tls-cert-file", "tls-auth-clients", "unixsocketperm", "pidfile",
            "quota", "proto-max-bulk-len", "loglevel", "supervised", "tcp-keepalive", "journal",
            "maxclients", "uplink-link")},
            {"bind": "127.0.0.1 -::1", "tls-port": "0", "tls-cert-file": "",
             "tls-auth-clients": "yes", "unixsocketperm": "700", "pidfile": self.path("told.pid"),
             "quota": str(64 << 20), "proto-max-bulk-len": str(512 << 20), "loglevel": "notice",
             "supervised": "systemd", "tcp-keepalive": "300", "journal": "yes",
             "maxclients": "77", "uplink-link": "lan"})
        self.assertEqual(os.path.realpath(os.path.join(self.top, told["dir"])),
                         os.path.realpath(self.path("store")))
        self.assertNotIn("hidden", told.values())
        self.assertNotIn("tls-key-file-pass", told)
        self.assertTrue(client.config_set("save", ""))
        self.assertTrue(client.config_set("hz", 100))
        self.assertTrue(client.config_set("timeout", 300))
        self.assertEqual(client.config_get("timeout"), {"timeout": "300"})
        with self.assertRaisesRegex(redis.exceptions.ResponseError,
                                    "'dir'.*can't set immutable config"):
            client.config_set("dir", self.top)
        self.assertEqual(d.end(), 0, d.told())

    def test_users_are_kept_in_a_file(self):
        users = self.write("users.acl", "user worker on >secret ~jobs:* +@list\n")
        os.chmod(users, 0o640)
        d, client = self.start("--aclfile", users)
        client.acl_setuser("other", enabled=True, passwords=["+pw"], keys=["a*"],
                           commands=["+get"])
        self.assertTrue(client.acl_save())
        with open(users) as file:
            text = file.read()
        self.assertIn("user other on ", text)
        self.assertIn("user worker on #", text)
        self.assertNotIn("secret", text)
        self.assertEqual(stat.S_IMODE(os.stat(users).st_mode), 0o640)
        self.assertEqual(sorted(os.listdir(self.top))[-1], "users.acl")
        self.write("users.acl", text.replace("+get", "+nonsense"))
        with self.assertRaises(redis.exceptions.ResponseError):
            client.acl_load()
        self.write("users.acl", text)
        self.assertEqual(d.end(), 0)
        d, client = self.start("--aclfile", users)
        self.assertEqual(client.acl_users(), ["default", "other", "worker"])
        other = d.client(username="other", password="pw")
        self.assertIsNone(other.get("a1"))
        self.write("users.acl", "user default on nopass ~* &* +@all\n")
        self.assertTrue(client.acl_load())
        until(lambda: len(client.client_list()) == 1)
        with self.assertRaises(redis.exceptions.ResponseError) as gone:
            other.get("a1")  # its connection was closed, and it cannot log in again
        self.assertIn("WRONGPASS", str(gone.exception))
        self.assertEqual(d.end(), 0)
        self.assertIn("cannot begin", refused("--aclfile", self.path("none.acl"), "--port",
                                              str(free_port()), "--dir", self.path("store2")))

    def test_every_option_is_in_the_documentation(self):
        table = subprocess.run([PROGRAM, "--options-as-markdown"], capture_output=True,
                               check=True).stdout.decode()
        with open(GATEWAY) as file:
            self.assertIn(table, file.read(), "oxbowd --options-as-markdown gives the table")

    # ---- life

    def test_without_a_word_it_serves_a_store_in_this_directory(self):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", 6379)) == 0:
                self.skipTest("somebody serves port 6379")
        process = subprocess.Popen([PROGRAM], stderr=subprocess.PIPE, cwd=self.top)
        try:
            line = ""
            while " serves " not in line:
                line = process.stderr.readline().decode()
                self.assertTrue(line)
            self.assertIn("127.0.0.1:6379", line)
            self.assertIn("from ./oxbow-data; appendfsync always", line)
            self.assertTrue(redis.Redis().set("a", "1"))
        finally:
            process.send_signal(signal.SIGINT)
            process.stderr.read()
            process.stderr.close()
            self.assertEqual(process.wait(PATIENCE), 0)
        self.assertTrue(os.path.exists(self.path("oxbow-data")))

    def test_what_was_stored_is_there_after_an_end_in_order(self):
        d, client = self.start()
        client.rpush("q", *range(1000))
        client.set("k", b"\x00\r\n\xff")
        self.assertEqual(d.end(), 0)
        self.assertIn("SIGTERM: ending", d.told())
        self.assertIn("ended in order", d.told())
        d, client = self.start()
        self.assertEqual(client.lrange("q", 0, -1), [b"%d" % n for n in range(1000)])
        self.assertEqual(client.get("k"), b"\x00\r\n\xff")
        self.assertEqual(d.end(signal.SIGINT), 0)

    def test_what_was_acknowledged_is_there_after_kill_9(self):
        for policy in ("always", "everysec", "no"):
            key = "q-" + policy
            d, _ = self.start("--appendfsync", policy)
            acked = [0, 0, 0, 0]

            def push(n, d=d, acked=acked, key=key):
                client = d.client()
                try:
                    while True:
                        client.rpush(f"{key}-{n}", acked[n])
                        acked[n] += 1
                except redis.exceptions.RedisError:
                    pass

            threads = [threading.Thread(target=push, args=(n,)) for n in range(4)]
            for t in threads:
                t.start()
            end = time.monotonic() + PATIENCE
            while min(acked) < 50 and time.monotonic() < end:
                time.sleep(0.01)
            d.process.kill()
            d.process.wait()
            for t in threads:
                t.join()
            d, client = self.start()
            for n in range(4):
                got = [int(x) for x in client.lrange(f"{key}-{n}", 0, -1)]
                self.assertGreaterEqual(acked[n], 50)
                self.assertIn(len(got), (acked[n], acked[n] + 1), policy)
                self.assertEqual(got, list(range(len(got))))
            self.assertEqual(d.end(), 0)

    def test_shutdown_ends_it_and_takes_its_files_along(self):
        pidfile, sock = self.path("pid"), self.path("sock")
        d, client = self.start("--pidfile", pidfile, "--unixsocket", sock, "--unixsocketperm", "700")
        with open(pidfile) as file:
            self.assertEqual(int(file.read()), d.process.pid)
        self.assertEqual(stat.S_IMODE(os.stat(sock).st_mode), 0o700)
        self.assertTrue(redis.Redis(unix_socket_path=sock).ping())
        client.shutdown()
        self.assertEqual(d.process.wait(PATIENCE), 0, d.told())
        self.assertFalse(os.path.exists(pidfile))
        self.assertFalse(os.path.exists(sock))

    def test_a_port_in_use_and_a_store_in_use_are_told(self):
        d, client = self.start()
        text = refused("--port", str(d.port), "--dir", self.path("other"))
        self.assertIn(f"127.0.0.1:{d.port}: another program listens there", text)
        text = refused("--port", str(free_port()), "--dir", self.path("store"))
        self.assertIn("store is in use by", text)
        self.assertIn(str(d.process.pid), text)
        self.assertTrue(client.ping())
        self.assertIn("parent is missing", refused("--port", str(free_port()), "--dir",
                                                   self.path("no/such/place")))

    def test_a_second_signal_ends_it_at_once(self):
        d, client = self.start()
        client.set("v", b"v" * 1000000)
        with socket.create_connection(("127.0.0.1", d.port)) as greedy:
            greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            greedy.sendall(b"GET v\r\n" * 100)
            until(lambda: any(int(c["omem"]) > 0 for c in client.client_list()))
            # Stopped meanwhile: it waits for two seconds alone that this one takes its replies.
            for number in (signal.SIGSTOP, signal.SIGINT, signal.SIGTERM, signal.SIGCONT):
                d.process.send_signal(number)
            self.assertEqual(d.process.wait(PATIENCE), 1)
        self.assertIn("SIGINT: ending", d.told())
        self.assertIn("a second signal: ending at once", d.told())
        _, client = self.start()
        self.assertEqual(client.strlen("v"), 1000000)

    def test_the_log_goes_to_a_file_that_hup_opens_again(self):
        log = self.path("log")
        d, _ = self.start("--logfile", log)
        os.rename(log, log + ".1")
        d.process.send_signal(signal.SIGHUP)
        end = time.monotonic() + PATIENCE
        while not (os.path.exists(log) and os.path.getsize(log)) and time.monotonic() < end:
            time.sleep(0.01)
        self.assertEqual(d.end(), 0)
        with open(log) as new, open(log + ".1") as old:
            new, old = new.read(), old.read()
        self.assertRegex(old, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z info ")
        self.assertIn(" serves ", old)
        self.assertIn("the log is open again", new)
        self.assertIn("ended in order", new)
        self.assertEqual(d.told(), "")

    def test_a_supervisor_is_told(self):
        path = self.path("notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
            supervisor.bind(path)
            supervisor.settimeout(PATIENCE)
            d, _ = self.start(env={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "200000"})
            self.assertEqual(supervisor.recv(100), b"READY=1")
            begun = time.monotonic()
            self.assertEqual(supervisor.recv(100), b"WATCHDOG=1")
            self.assertEqual(supervisor.recv(100), b"WATCHDOG=1")
            self.assertLess(time.monotonic() - begun, PATIENCE)
            d.process.send_signal(signal.SIGTERM)
            last = supervisor.recv(100)
            while last == b"WATCHDOG=1":
                last = supervisor.recv(100)
            self.assertEqual(last, b"STOPPING=1")
            self.assertEqual(d.process.wait(PATIENCE), 0)

    def test_what_a_stand_in_took_is_in_the_store_when_its_device_is_back(self):
        os.mkdir(self.path("device"))
        options = ("--dir", self.path("device/store"), "--on-failure", "memory", "--stand-in", self.path("memory"))
        d, client = self.start(*options)
        client.hset("h", mapping={"a": 1, "b": 2})
        client.sadd("s", "a", "b")
        client.zadd("z", {"a": 1, "b": 2})
        self.assertEqual(d.end(), 0, d.told())
        os.rename(self.path("device"), self.path("away"))
        d, client = self.start(*options)
        client.hset("h", mapping={"b": 3, "c": 4})
        client.execute_command("HPEXPIRE", "h", 3600000, "FIELDS", 1, "c")
        client.sadd("s", "b", "c")
        client.zadd("z", {"b": 3.5, "c": 4})
        client.rpush("l", "v")
        self.assertEqual(client.hlen("h"), 2)
        d.process.kill()
        d.process.wait()
        os.rename(self.path("away"), self.path("device"))
        d, client = self.start(*options)
        self.assertEqual(client.hgetall("h"), {b"a": b"1", b"b": b"3", b"c": b"4"})
        self.assertEqual(client.smembers("s"), {b"a", b"b", b"c"})
        self.assertEqual(client.zrange("z", 0, -1, withscores=True), [(b"a", 1), (b"b", 3.5), (b"c", 4)])
        self.assertEqual(client.lrange("l", 0, -1), [b"v"])
        left = client.execute_command("HPTTL", "h", "FIELDS", 3, "a", "b", "c")
        self.assertEqual(left[:2], [-1, -1])
        self.assertTrue(0 < left[2] <= 3600000, left)
        self.assertEqual(d.end(), 0, d.told())

    def test_the_journal_gets_levels_and_no_time(self):
        at = os.stat(os.path.join(self.top))  # not what standard error is
        d, _ = self.start(env={"JOURNAL_STREAM": f"{at.st_dev}:{at.st_ino}"})
        d.end()
        self.assertRegex(d.told(), r"^\d{4}-")
        read, write = socket.socketpair()
        at = os.fstat(write.fileno())
        process = subprocess.Popen([PROGRAM, "--port", "0", "--unixsocket", self.path("sock")],
                                   stderr=write, cwd=self.top,
                                   env={**os.environ, "JOURNAL_STREAM": f"{at.st_dev}:{at.st_ino}"})
        write.close()
        with read.makefile() as lines:
            seen = lines.readline()
            while " serves " not in seen:
                self.assertRegex(seen, r"^<[3467]>")
                seen = lines.readline()
            process.terminate()
            self.assertTrue(seen.startswith("<6>oxbowd "), seen)
            for line in lines:
                self.assertRegex(line, r"^<[3467]>")
        read.close()
        self.assertEqual(process.wait(PATIENCE), 0)

    # ---- clients

    def test_redis_cli_works_with_it(self):
        d, _ = self.start()
        self.assertEqual(self.cli(d, "ping"), "PONG\n")
        self.assertEqual(self.cli(d, "set", "k", "v"), "OK\n")
        self.assertEqual(self.cli(d, "-3", "get", "k"), "v\n")
        self.assertEqual(self.cli(d, "lpush", "l", "a", "b"), "2\n")
        pipe = b"".join(b"*3\r\n$5\r\nRPUSH\r\n$1\r\np\r\n$%d\r\n%d\r\n" % (len(str(n)), n)
                        for n in range(20000))
        self.assertIn("errors: 0, replies: 20000", self.cli(d, "--pipe", stdin=pipe))
        self.assertEqual(self.cli(d, "llen", "p"), "20000\n")
        self.assertEqual(self.cli(d, stdin=b"get k\nllen l\n"), "v\n2\n")

    def test_lines_from_a_shell_are_answered_before_the_end(self):
        d, _ = self.start()
        with socket.create_connection(("127.0.0.1", d.port), timeout=PATIENCE) as s:
            s.sendall(b"SET a 1\r\nGET a\r\n")
            s.shutdown(socket.SHUT_WR)
            said = b""
            while piece := s.recv(100):
                said += piece
        self.assertEqual(said, b"+OK\r\n$1\r\n1\r\n")

    def test_redis_benchmark_is_served(self):
        for policy in ("always", "no"):
            d, _ = self.start("--appendfsync", policy)
            # One client alone waits for each sync; a device may need tens of milliseconds for it.
            some = ["-t", "ping,set,get,lpush,lpop"]
            for clients, pipeline, count, what, tests in (
                    (1, 1, 200, some, 6), (50, 1, 2000, some, 6),
                    (50, 16, 4000, ["-r", "1000"], 20)): # all that it knows
                done = subprocess.run(
                    ["redis-benchmark", "-p", str(d.port), *what, "-n", str(count), "-c",
                     str(clients), "-P", str(pipeline), "-q"],
                    capture_output=True, timeout=10 * PATIENCE)
                self.assertEqual(done.returncode, 0, done)
                self.assertEqual(len(re.findall(rb"requests per second", done.stdout)), tests)
                self.assertNotIn(b"rror", done.stdout.replace(b"ERR unknown command 'CONFIG'", b""))
            self.assertEqual(d.end(), 0)

    def test_many_connections_each_get_their_own_replies(self):
        d, _ = self.start()
        clients = [d.client() for _ in range(200)]
        for n, client in enumerate(clients):
            self.assertTrue(client.set(f"k{n}", n))
        for n, client in enumerate(clients):
            self.assertEqual(client.get(f"k{n}"), b"%d" % n)
            with client.pipeline(transaction=False) as p:
                for i in range(20):
                    p.rpush(f"l{n}", i)
                self.assertEqual(p.execute(), list(range(1, 21)))
        for client in clients:
            client.close()

    def test_waiting_workers_share_what_comes_and_the_dead_get_nothing(self):
        d, client = self.start()
        got, lock = [], threading.Lock()

        def work():
            mine = d.client()
            while True:
                _, value = mine.brpop(["urgent", "normal"], 0)
                if value == b"end":
                    return
                with lock:
                    got.append(int(value))

        workers = [threading.Thread(target=work) for _ in range(10)]
        for t in workers:
            t.start()
        dead = []
        for _ in range(20):
            s = socket.create_connection(("127.0.0.1", d.port))
            s.sendall(b"BRPOP normal 0\r\n")
            dead.append(s)
        until(lambda: client.info("clients")["blocked_clients"] == 30)
        for s in dead:
            s.close()
        until(lambda: client.info("clients")["blocked_clients"] == 10)
        for n in range(500):
            client.lpush("urgent" if n % 2 else "normal", n)
        for _ in workers:
            client.lpush("normal", "end")
        for t in workers:
            t.join(PATIENCE)
            self.assertFalse(t.is_alive())
        self.assertEqual(sorted(got), list(range(500)))

    def test_descriptors_run_out_and_come_back(self):
        def few():
            import resource
            resource.setrlimit(resource.RLIMIT_NOFILE, (160, 160))

        port = free_port()
        log = self.path("few")
        with open(log, "wb") as out:
            process = subprocess.Popen([PROGRAM, "--port", str(port), "--dir", self.path("store")],
                                       stderr=out, preexec_fn=few)
        try:
            first = redis.Redis(port=port)
            end = time.monotonic() + PATIENCE
            while True:
                try:
                    first.ping()
                    break
                except redis.exceptions.ConnectionError:
                    self.assertLess(time.monotonic(), end)
                    time.sleep(0.05)
            with open(log) as file:
                self.assertIn("maxclients is 96, not 10000", file.read())
            many = [socket.create_connection(("127.0.0.1", port)) for _ in range(120)]
            refused_ones = 0
            for s in many:
                s.settimeout(PATIENCE)
                s.sendall(b"PING\r\n")
                said = s.recv(100)
                self.assertIn(said, (b"+PONG\r\n", b"-ERR max number of clients reached\r\n"))
                refused_ones += said[:1] == b"-"
            self.assertEqual(refused_ones, 120 - 95)
            for s in many:
                s.close()
            until(lambda: len(first.client_list()) == 1)
            self.assertTrue(redis.Redis(port=port).ping())
        finally:
            process.terminate()
            self.assertEqual(process.wait(PATIENCE), 0)

    def test_a_file_and_the_command_line_go_together(self):
        port = free_port()
        file = self.write("oxbowd.conf", "PORT 1\nappendfsync everysec\ninterval-ms 50\n"
                          f"dir '{self.path('store')}'\nloglevel notice\nhz 10\n")
        d = self.start(config=file, port=port, wait=False)
        d.ready()
        self.assertEqual(d.end(), 0)
        self.assertIn(f"127.0.0.1:{port}", d.told())
        self.assertIn("at most the last 50 ms", d.told())
        self.assertIn("1 options of Redis have no meaning here, hz first", d.told())
        self.assertTrue(glob.glob(self.path("store/*")))


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    PROGRAM, GATEWAY = os.path.abspath(sys.argv.pop(1)), os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
