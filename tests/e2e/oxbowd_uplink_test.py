#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The uplink inside the daemon, with a real redis-server over TLS as its target and redis-py for a client.

    oxbowd_uplink_test.py PROGRAM [TEST...]
"""
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

import oxbowd_test as base
import redis
from rig import certs, server

DEVICE = "gateway-7"
CERTS = None


def target_of(key):
    return f"oxbow:{{{DEVICE}}}:{key}"


class Uplink(base.Oxbowd):
    # The daemon's other tests are base's own.
    locals().update({name: None for name in dir(base.Oxbowd) if name.startswith("test_")})

    def setUp(self):
        super().setUp()
        self.central = server.Server(Path(self.top) / "central", CERTS, [DEVICE])
        self.central.start()
        admin = self.central.admin()
        admin.do("ACL", "SETUSER", DEVICE, "+rpush", "+hget", "+hset")  # for lists
        admin.do("ACL", "SAVE")
        admin.close()
        self.password = self.write("password", self.central.password + "\n")

    def tearDown(self):
        self.central.stop()
        super().tearDown()

    def rows(self, *more):
        """The configuration of an uplink that fits."""
        return "\n".join([
            f"uplink-target rediss://127.0.0.1:{self.central.port}",
            f"uplink-device {DEVICE}", f"uplink-user {DEVICE}",
            f"uplink-password-file {self.password}",
            f"uplink-tls-ca-cert-file {CERTS.ca}", f"uplink-tls-cert-file {CERTS.device_cert}",
            f"uplink-tls-key-file {CERTS.device_key}",
            f"uplink-tls-server-name {certs.SERVER_NAME}", "uplink-spread-ms 1", *more]) + "\n"

    def serve(self, *more, args=()):
        return self.start(*args, config=self.write("oxbowd.conf", self.rows(*more)))

    def wait(self, d, what, until):
        end = time.monotonic() + 2 * base.PATIENCE
        while not until():
            self.assertIsNone(d.process.poll(), d.told())
            self.assertLess(time.monotonic(), end, f"{what}\n{d.told()}")
            time.sleep(0.02)

    def forward(self, client, name):
        return client.info("uplink")[f"forward_{name}"]

    def wait_delivered(self, d, client, *names):
        for name in names:
            self.wait(d, f"{name} is delivered",
                      lambda name=name: self.forward(client, name)["backlog"] == 0)

    def there(self, key):
        """Elements of a list, or entries of a stream, at the target."""
        admin = self.central.admin()
        kind = admin.do("TYPE", key)
        admin.close()
        if kind == b"stream":
            return self.central.entries(key)
        admin = self.central.admin()
        values = admin.do("LRANGE", key, 0, -1)
        admin.close()
        return values

    def assert_stream(self, key, added):
        self.assertEqual(self.there(key), [(eid, [b"n", b"%d" % n]) for eid, n in added])

    def oxbow(self, client, *words):
        return client.execute_command("OXBOW", *words)

    def listed(self, client, name):
        (one,) = self.oxbow(client, "FORWARD", "LIST", name)
        return dict(zip(one[::2], one[1::2]))

    def refused_command(self, client, words, *args):
        with self.assertRaises(redis.exceptions.ResponseError, msg=args) as refused:
            self.oxbow(client, *args)
        self.assertIn(words, str(refused.exception))

    # ---- what arrives

    def test_everything_arrives_once_and_in_order_whatever_is_killed(self):
        rows = ("uplink-forward readings stream readings",
                "uplink-forward jobs list jobs target '{central}:jobs' urgent yes",
                "uplink-forward other stream readings db 3 target '{central}:three'")
        admin = self.central.admin()
        admin.do("ACL", "SETUSER", DEVICE, "~{central}:*", "~oxbow:{central}:*")
        admin.do("ACL", "SAVE")
        admin.close()
        added, jobs, three = [], [], []
        for life in range(4):
            d, client = self.serve(*rows)
            other = d.client(db=3)
            for part in range(20):
                pipe = client.pipeline(transaction=False)
                first = len(added)
                for n in range(50):
                    pipe.xadd("readings", {"n": first + n})
                    pipe.rpush("jobs", b"job %d" % (first + n))
                for n, eid in enumerate(pipe.execute()[::2]):
                    added.append((eid, first + n))
                    jobs.append(b"job %d" % (first + n))
                three.append((other.xadd("readings", {"n": len(three)}), len(three)))
                if life == 1 and part == 10:
                    self.central.kill()
                if life == 2 and part == 5:
                    self.wait(d, "it is up", lambda: client.info("uplink")["uplink_state"] == "up")
            # All of this was acknowledged; how much of it has left nobody knows.
            d.process.kill()
            d.process.wait()
            if self.central.process is None:
                self.central.start()
        d, client = self.serve(*rows)
        self.wait_delivered(d, client, "readings", "jobs", "other")
        self.assert_stream(target_of("readings"), added)
        self.assertEqual(self.there("{central}:jobs"), jobs)
        self.assert_stream("{central}:three", three)
        self.assertEqual(client.llen("jobs"), 0)
        self.assertEqual(d.end(), 0, d.told())

    def test_while_the_target_is_away_clients_notice_nothing(self):
        d, client = self.serve("uplink-forward readings stream readings")
        self.wait(d, "it is up", lambda: client.info("uplink")["uplink_state"] == "up")
        added = [(client.xadd("readings", {"n": 0}), 0)]
        self.wait_delivered(d, client, "readings")
        self.central.kill()
        added += [(client.xadd("readings", {"n": n}), n) for n in range(1, 300)]
        self.wait(d, "it has noticed", lambda: client.info("uplink")["uplink_state"] != "up")
        seen = client.info("uplink")
        self.assertEqual(seen["uplink_trouble"], "link")
        self.assertNotEqual(seen["uplink_trouble_text"], "")
        self.assertEqual(seen["forward_readings"]["backlog"], 299)
        with self.assertRaises(redis.exceptions.ResponseError):
            client.delete("readings")  # it is protected
        self.central.start()
        self.oxbow(client, "UPLINK", "UP")
        self.wait_delivered(d, client, "readings")
        self.assert_stream(target_of("readings"), added)
        seen = client.info("uplink")
        self.assertEqual(seen["uplink_state"], "up")
        self.assertEqual(seen["uplink_connects"], 2)
        self.assertEqual(seen["uplink_entries"], 300)
        self.assertIn("TLSv1.", seen["uplink_connection"])
        self.assertEqual(d.end(), 0, d.told())

    # ---- at run time

    def test_forwards_come_and_go_at_run_time_and_no_backlog_is_lost(self):
        d, client = self.serve()
        info = client.info("uplink")
        self.assertEqual(info["uplink_forwards"], 0)
        added = [(client.xadd("readings", {"n": n}), n) for n in range(100)]
        self.assertEqual(self.oxbow(client, "FORWARD", "ADD", "r", "stream", "readings"), b"OK")
        self.wait_delivered(d, client, "r")
        self.assert_stream(target_of("readings"), added)  # what was there before, too

        self.assertEqual(self.oxbow(client, "forward", "pause", "r"), b"OK")
        self.wait(d, "it rests", lambda: self.forward(client, "r")["paused"] == 1)
        added += [(client.xadd("readings", {"n": n}), n) for n in range(100, 200)]
        client.rpush("jobs", "a", "b", "c")
        self.oxbow(client, "FORWARD", "ADD", "j", "list", "jobs", "max-bytes", "1kb", "WEIGHT", 3)
        self.wait_delivered(d, client, "j")  # the other goes on, and has had its turn
        self.assertEqual(self.there(target_of("jobs")), [b"a", b"b", b"c"])
        self.assertEqual(self.forward(client, "r")["backlog"], 100)
        self.assert_stream(target_of("readings"), added[:100])

        self.refused_command(client, "100 of the forward's entries", "FORWARD", "DEL", "r")
        self.assertEqual(self.oxbow(client, "FORWARD", "SET", "r", "hold-ms", 1000, "urgent",
                                    "yes"), b"OK")
        listed = self.listed(client, "r")
        self.assertEqual((listed[b"hold-ms"], listed[b"urgent"], listed[b"backlog"],
                          listed[b"paused"]), (b"1000", b"yes", 100, 1))
        self.oxbow(client, "FORWARD", "RESUME", "r")
        self.wait_delivered(d, client, "r")
        self.assert_stream(target_of("readings"), added)

        # With a backlog, by force: the entries stay, and another forward carries what is left.
        self.oxbow(client, "FORWARD", "SET", "r", "after", "keep")
        self.oxbow(client, "FORWARD", "PAUSE", "r")
        self.wait(d, "it rests", lambda: self.forward(client, "r")["paused"] == 1)
        added += [(client.xadd("readings", {"n": n}), n) for n in range(200, 250)]
        before = client.xlen("readings")
        self.assertEqual(self.oxbow(client, "FORWARD", "DEL", "r", "FORCE"), b"OK")
        self.assertEqual(client.xlen("readings"), before)
        self.assertNotIn("forward_r", client.info("uplink"))
        self.oxbow(client, "FORWARD", "ADD", "r", "stream", "readings")
        self.wait_delivered(d, client, "r")  # a new one of an old name is not paused
        self.assert_stream(target_of("readings"), added)
        self.assertEqual(self.oxbow(client, "FORWARD", "DEL", "r"), b"OK")
        self.assertEqual([dict(zip(f[::2], f[1::2]))[b"name"]
                          for f in self.oxbow(client, "FORWARD", "LIST")], [b"j"])
        self.assertEqual(d.end(), 0, d.told())

    def test_what_was_added_at_run_time_stays_and_the_file_says_what_its_own_are(self):
        d, client = self.serve("uplink-forward r stream readings weight 5")
        self.oxbow(client, "FORWARD", "ADD", "late", "stream", "late", "weight", 7)
        self.oxbow(client, "FORWARD", "PAUSE", "late")
        self.oxbow(client, "FORWARD", "SET", "r", "weight", 9)
        added = [(client.xadd("late", {"n": n}), n) for n in range(20)]
        self.assertEqual(self.listed(client, "r")[b"weight"], b"9")
        self.assertEqual(d.end(), 0, d.told())
        d, client = self.serve("uplink-forward r stream readings weight 6")
        self.assertEqual(self.listed(client, "r")[b"weight"], b"6")
        self.assertEqual(self.listed(client, "late")[b"weight"], b"7")
        self.wait_delivered(d, client, "late")  # a pause ends with the daemon
        self.assert_stream(target_of("late"), added)
        self.assertEqual(d.end(), 0, d.told())

    def test_the_whole_uplink_rests_and_goes_on(self):
        d, client = self.serve("uplink-forward r stream readings")
        self.wait(d, "it is up", lambda: client.info("uplink")["uplink_state"] == "up")
        self.oxbow(client, "UPLINK", "PAUSE")
        self.wait(d, "it rests", lambda: client.info("uplink")["uplink_paused"] == 1)
        added = [(client.xadd("readings", {"n": n}), n) for n in range(50)]
        self.oxbow(client, "UPLINK", "DOWN")
        self.wait(d, "it is down", lambda: client.info("uplink")["uplink_state"] == "down")
        self.assertEqual(self.forward(client, "r")["backlog"], 50)
        self.oxbow(client, "UPLINK", "UP")
        self.oxbow(client, "UPLINK", "RESUME")
        self.wait_delivered(d, client, "r")
        self.assert_stream(target_of("readings"), added)
        self.assertEqual(d.end(), 0, d.told())

    # ---- life

    def test_a_signal_has_secrets_and_certificates_read_again(self):
        d, client = self.serve("uplink-forward r stream readings")
        self.wait(d, "it is up", lambda: client.info("uplink")["uplink_state"] == "up")
        admin = self.central.admin()
        admin.do("ACL", "SETUSER", DEVICE, "resetpass", ">new password")
        self.write("password", "new password\nand a second line\n")
        d.process.send_signal(signal.SIGHUP)
        self.wait(d, "it has come again", lambda: client.info("uplink")["uplink_connects"] == 2)
        self.write("password", "wrong\n")
        d.process.send_signal(signal.SIGHUP)
        self.wait(d, "it is refused",
                  lambda: client.info("uplink")["uplink_trouble"] == "credentials")
        admin.close()
        self.assertEqual(d.end(), 0, d.told())

    def test_it_ends_in_order_whatever_the_uplink_does(self):
        d, client = self.serve("uplink-forward r stream readings")
        stop = threading.Event()
        added = []

        def write():
            try:
                while not stop.is_set():
                    added.append((client.xadd("readings", {"n": len(added)}), len(added)))
            except redis.exceptions.ConnectionError:
                pass

        writer = threading.Thread(target=write)
        writer.start()
        reader = d.client()
        self.wait(d, "it sends", lambda: self.forward(reader, "r")["accepted"] != "0-0")
        self.assertEqual(d.end(), 0, d.told())  # in the midst of it
        stop.set()
        writer.join()
        self.assertIn("ended in order", d.told())
        os.kill(self.central.process.pid, signal.SIGSTOP)  # it accepts and does not speak
        d, client = self.serve("uplink-forward r stream readings")
        self.wait(d, "it connects",
                  lambda: client.info("uplink")["uplink_state"] in ("connecting", "greeting"))
        self.assertEqual(d.end(), 0, d.told())
        os.kill(self.central.process.pid, signal.SIGCONT)
        self.central.kill()
        d, client = self.serve("uplink-forward r stream readings")
        self.wait(d, "it waits", lambda: client.info("uplink")["uplink_state"] == "waiting")
        client.shutdown()
        self.assertEqual(d.process.wait(base.PATIENCE), 0, d.told())
        self.central.start()
        d, client = self.serve("uplink-forward r stream readings")
        self.wait_delivered(d, client, "r")
        there = self.there(target_of("readings"))
        # One that was on its way when the daemon ended may be there beyond those acknowledged.
        self.assertIn(len(there), (len(added), len(added) + 1))
        self.assertEqual(there[:len(added)], [(eid, [b"n", b"%d" % n]) for eid, n in added])
        self.assertEqual(d.end(), 0, d.told())

    def test_a_server_that_cannot_be_opened_takes_the_uplink_along(self):
        d, _ = self.start()
        file = self.write("second.conf", self.rows())
        text = base.refused(file, "--port", str(d.port), "--dir", self.path("second"))
        self.assertIn("another program listens there", text)
        self.assertEqual(d.end(), 0)

    # ---- what is wrong

    def test_what_is_wrong_in_the_configuration_is_told(self):
        cases = {
            "uplink-target central:6379": "is none of rediss://HOST",
            "uplink-target http://central": "is none of rediss://HOST",
            "uplink-target rediss://": "names no host and port",
            "uplink-target rediss://:6379": "names no host and port",
            "uplink-target rediss://central:": "names no host and port",
            "uplink-target rediss://central:0": "names no host and port",
            "uplink-target rediss://central:65536": "names no host and port",
            "uplink-target rediss://central:63x": "names no host and port",
            "uplink-target rediss://[::1": "names no host and port",
            "uplink-target rediss://[::1]x": "names no host and port",
            "uplink-target rediss://u:p@central": "do not stand here: uplink-user",
            "uplink-target rediss://central/3": "does not stand here: uplink-database",
            "uplink-target unix:": "wants the path of a socket",
            "uplink-target rediss://a redis://b": "all targets are with TLS, or none is",
            "uplink-target " + "redis://a " * 9: "more than 8 targets",
            "uplink-database 16": "16 is not from 0 to 15",
            "uplink-link pigeon": "'pigeon' is not one of: lan, cellular, satellite",
            "uplink-mode magic": "'magic' is not one of: auto, script, function, multi",
            "uplink-tls-clock mine": "'mine' is not one of: floor, strict, insecure",
            "uplink-max-rate fast": "'fast' is no size",
            "uplink-spread-ms 0": "0 is not from 1 to 3600000",
            "uplink-forward": "has no value",
            "uplink-forward a stream": "wants NAME stream|list KEY",
            "uplink-forward a set k": "'set' is neither stream nor list",
            "uplink-forward a/b stream k": "the name has 1 to 63 letters",
            "uplink-forward " + "n" * 64 + " stream k": "the name has 1 to 63 letters",
            'uplink-forward a stream ""': "the key has 1 to 1024 bytes",
            "uplink-forward a stream " + "k" * 1025: "the key has 1 to 1024 bytes",
            "uplink-forward a stream k db 16": "db: want a database from 0 to 15",
            "uplink-forward a stream k db": "db: want a database from 0 to 15",
            "uplink-forward a stream k colour red": "'colour' is none of: target select confirm",
            "uplink-forward a stream k weight": "weight has no value",
            "uplink-forward a stream k weight 101": "weight '101': want a number from 0 to 100",
            "uplink-forward a stream k max-bytes 3q": "max-bytes '3q': want a size",
            "uplink-forward a stream k batch-bytes 1": "batch-bytes '1': want 0, or a size",
            "uplink-forward a stream k confirm replicas:x": "confirm 'replicas:x': want master",
            "uplink-forward a stream k select acked:": "select 'acked:': want durable or acked:GR",
            "uplink-forward a stream k target 'x}y'": "no hash tag",
            "uplink-forward a list k after keep": "after keep is for streams",
            "uplink-forward a list k select acked:g": "select acked is for streams",
            "uplink-forward a list k true-time yes": "true-time is for streams",
        }
        for line, words in cases.items():
            file = self.write("bad.conf", f"# first\n\n{line}\n")
            text = base.refused(file, cwd=self.top)
            self.assertIn(f"{file}:3: {line.split()[0]}: ", text, line)
            self.assertIn(words, text, line)
        twice = self.write("bad.conf", "uplink-forward a stream k\nuplink-forward a list l\n")
        self.assertIn("there is a forward 'a' already", base.refused(twice))

    def test_what_does_not_go_together_is_told(self):
        central = "--uplink-target", "rediss://a"
        ca = "--uplink-tls-ca-cert-file", "ca.crt"
        cases = {
            ("--uplink-forward", "a", "stream", "k"): "uplink-forward: needs uplink-target",
            ("--uplink-user", "u"): "uplink-user: needs uplink-target",
            ca: "uplink-tls-ca-cert-file: needs uplink-target",
            central: "rediss:// needs uplink-tls-ca-cert-file",
            ("--uplink-target", "redis://a", *ca): "is not with TLS",
            (*central, "rediss://b", *ca): "by uplink-tls-server-name",
            (*central, *ca, "--uplink-tls-cert-file", "c"): "goes with uplink-tls-key-file",
            (*central, *ca, "--uplink-tls-key-file", "k"): "goes with uplink-tls-key-file",
            (*central, *ca, "--uplink-device", "a b"): "uplink-device: has at most 63 letters",
            (*central, *ca, "--uplink-machine", "m"): "uplink-machine: goes with uplink-device",
            (*central, *ca, "--uplink-max-rate", "63"): "is at least 64 bytes a second",
        }
        for args, words in cases.items():
            self.assertIn(words, base.refused(*args, cwd=self.top), args)
        self.assertNotIn("oxbow-data", os.listdir(self.top))

    def refused_start(self, *rows, without=()):
        text = "".join(line + "\n" for line in self.rows().splitlines()
                       if not line.startswith(tuple(without)))
        file = self.write("bad.conf", text + "".join(row + "\n" for row in rows))
        return base.refused(file, "--port", str(server.free_port()), "--dir", self.path("store"))

    def test_what_only_shows_at_the_start_is_told(self):
        self.assertIn("the store has no name yet",
                      self.refused_start(without=("uplink-device",)))
        self.assertIn("No such file", self.refused_start("uplink-password-file /none/there"))
        empty = self.write("empty", "\nsecond\n")
        self.assertIn("its first line is empty or too long",
                      self.refused_start(f"uplink-password-file {empty}"))
        self.write("empty", "x" * 512 + "\n")
        self.assertIn("its first line is empty or too long",
                      self.refused_start(f"uplink-password-file {empty}"))
        self.assertIn("is missing", self.refused_start("uplink-tls-ca-cert-file /none/ca.crt"))
        self.assertIn("does not belong",
                      self.refused_start(f"uplink-tls-key-file {CERTS.server_key}"))
        # What is in the store already.
        d, client = self.serve("uplink-forward r stream readings")
        client.rpush("list", "a")
        client.set("string", "a")
        self.assertEqual(d.end(), 0, d.told())
        for row, words in {
                "uplink-forward r list readings": "with another type, key or target",
                "uplink-forward r stream other": "with another type, key or target",
                "uplink-forward r stream readings db 1": "with another type, key or target",
                "uplink-forward r stream readings target t": "with another type, key or target",
                "uplink-forward s stream readings": "another forward has this key",
                f"uplink-forward s stream k target {target_of('readings')}":
                    "another forward has this key or this target",
                "uplink-forward s stream list": "the key holds another type",
                "uplink-forward s list string": "the key holds another type",
                "uplink-device somebody-else": f"the store is '{DEVICE}'",
                "uplink-machine other": f"the store is '{DEVICE}'"}.items():
            self.assertIn(words, self.refused_start(row), row)
        d, client = self.serve("uplink-forward r stream readings")  # all of it is as it was
        self.assertEqual(client.info("uplink")["uplink_forwards"], 1)
        self.assertEqual(d.end(), 0, d.told())

    def test_commands_that_make_no_sense_are_refused(self):
        d, client = self.serve("uplink-forward r stream readings")
        client.set("string", "a")
        for words, args in (
                ("wrong number of arguments", ("FORWARD",)),
                ("unknown subcommand", ("NONSENSE",)),
                ("'FORWARD nonsense'", ("FORWARD", "nonsense")),
                ("'FORWARD ADD'", ("FORWARD", "ADD", "a", "stream")),
                ("'FORWARD DEL'", ("FORWARD", "DEL", "r", "FORCE", "x")),
                ("'FORWARD SET'", ("FORWARD", "SET", "r", "weight")),
                ("'FORWARD LIST'", ("FORWARD", "LIST", "r", "x")),
                ("'FORWARD PAUSE'", ("FORWARD", "PAUSE")),
                ("syntax error", ("FORWARD", "DEL", "r", "perhaps")),
                ("neither stream nor list", ("FORWARD", "ADD", "a", "set", "k")),
                ("a forward's name has", ("FORWARD", "ADD", "n" * 64, "stream", "k")),
                ("a forward's name has", ("FORWARD", "ADD", b"a\0b", "stream", "k")),
                ("name has 1 to 63 letters", ("FORWARD", "ADD", "a b", "stream", "k")),
                ("already", ("FORWARD", "ADD", "r", "stream", "k")),
                ("already", ("FORWARD", "ADD", "s", "stream", "readings")),
                ("WRONGTYPE", ("FORWARD", "ADD", "s", "stream", "string")),
                ("weight 'x': want", ("FORWARD", "ADD", "s", "stream", "k", "weight", "x")),
                ("weight has no value", ("FORWARD", "ADD", "s", "stream", "k", "weight")),
                ("'x' is none of", ("FORWARD", "SET", "r", "x", "1")),
                ("target stays", ("FORWARD", "SET", "r", "target", "x")),
                ("there is no forward 'none'", ("FORWARD", "SET", "none", "weight", "1")),
                ("there is no forward 'none'", ("FORWARD", "DEL", "none")),
                ("there is no forward 'none'", ("FORWARD", "LIST", "none")),
                ("there is no forward 'none'", ("FORWARD", "PAUSE", "none")),
                ("there is no forward 'none'", ("FORWARD", "RESUME", "none")),
                ("'UPLINK nonsense'", ("UPLINK", "nonsense")),
                ("wrong number of arguments", ("UPLINK", "UP", "x"))):
            self.refused_command(client, words, *args)
        self.assertIn(b"FORWARD DEL <name> [FORCE]", self.oxbow(client, "HELP"))
        pipe = client.pipeline()
        pipe.execute_command("OXBOW", "FORWARD", "DEL", "r")
        with self.assertRaises(redis.exceptions.ResponseError):
            pipe.execute()
        client.acl_setuser("worker", enabled=True, passwords=["+w"], keys=["*"],
                           categories=["+@all", "-@dangerous"])
        worker = d.client(username="worker", password="w")
        with self.assertRaises(redis.exceptions.NoPermissionError):
            self.oxbow(worker, "FORWARD", "LIST")
        self.assertEqual(client.info("uplink")["uplink_forwards"], 1)
        self.assertEqual(d.end(), 0, d.told())

    def test_without_an_uplink_it_says_that_there_is_none(self):
        d, client = self.serve("uplink-forward r stream readings")
        self.oxbow(client, "UPLINK", "DOWN")
        client.xadd("readings", {"n": 1})
        self.assertEqual(d.end(), 0, d.told())
        d, client = self.start()
        for args in (("FORWARD", "ADD", "a", "stream", "k"), ("FORWARD", "PAUSE", "r"),
                     ("FORWARD", "RESUME", "r"), ("UPLINK", "UP")):
            self.refused_command(client, "there is no uplink here", *args)
        seen = client.info("uplink")
        self.assertEqual(seen["uplink_state"], "none")
        self.assertEqual(self.listed(client, "r")[b"state"], b"none")
        self.assertEqual(d.end(), 0)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    server.skip_without_programs("oxbowd_carries_what_forwards_select")
    base.PROGRAM = os.path.abspath(sys.argv.pop(1))
    TOP = tempfile.mkdtemp(prefix="oxbowd-uplink-certs-")
    try:
        CERTS = certs.make(Path(TOP), DEVICE)
        unittest.main(verbosity=2)
    finally:
        shutil.rmtree(TOP)
