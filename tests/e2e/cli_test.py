#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The command line program as a person uses it: what it prints, and how it fails.

    cli_test.py PROGRAM [TEST...]
"""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

PROGRAM = ""
PATIENCE = 60


def resp(data):
    """The commands of an export, each a list of byte strings."""
    at, out = 0, []

    def head(kind):
        nonlocal at
        end = data.index(b"\r\n", at)
        assert data[at:at + 1] == kind, data[at:at + 20]
        number, at = int(data[at + 1:end]), end + 2
        return number

    while at < len(data):
        command = []
        for _ in range(head(b"*")):
            size = head(b"$")
            command.append(data[at:at + size])
            at += size + 2
        out.append(command)
    return out


def by_key(data):
    """An export as {key: its commands in order}: keys come in the order of a store's own hash."""
    keys = {}
    for command in resp(data):
        if command[0] in (b"ECHO", b"SELECT"):
            continue
        name = command[2] if command[0] == b"XGROUP" else command[1]
        if command[0] == b"XCLAIM":
            command = command[:6] + command[8:]  # without IDLE: time goes on
        keys.setdefault(name, []).append(command)
    return keys


class Cli(unittest.TestCase):
    def setUp(self):
        self.top = tempfile.mkdtemp(prefix="oxbow-cli-")
        self.dir = os.path.join(self.top, "store")

    def tearDown(self):
        shutil.rmtree(self.top)

    def run_cli(self, *args, code=0, stdin=None, directory=None):
        done = subprocess.run([PROGRAM, "-d", directory or self.dir, *args], input=stdin,
                              capture_output=True, timeout=60)
        if code is not None:
            self.assertEqual(done.returncode, code, (args, done.stdout, done.stderr))
        return done

    def out(self, *args, **kw):
        return self.run_cli(*args, **kw).stdout.decode()

    def until(self, what):
        """Waits for what is to become true."""
        end = time.monotonic() + PATIENCE
        while not what():
            self.assertLess(time.monotonic(), end, "what was waited for did not come")
            time.sleep(0.01)

    def error(self, *args, code, **kw):
        done = self.run_cli(*args, code=code, **kw)
        self.assertTrue(done.stderr.startswith(b"oxbow: "), done.stderr)
        return done.stderr.decode()

    # ---- words

    def test_every_command_is_in_the_help_and_has_its_own(self):
        lines = self.out("--help").split("commands:\n")[1].split("\n\n")[0].splitlines()
        self.assertGreater(len(lines), 15)
        for line in lines:
            name = line[2:22].strip().split(" ")
            text = self.out(*name, "--help")
            self.assertTrue(text.startswith("usage: oxbow " + " ".join(name)), text)
        self.assertFalse(os.path.exists(self.dir))

    def test_wrong_words_are_told(self):
        self.assertIn("no such command", self.error("psuh", "k", "v", code=2))
        self.assertIn("uplink stat: no such command, oxbow uplink --help lists them",
                      self.error("uplink", "stat", code=2))
        self.assertIn("uplink: which command?", self.error("uplink", code=2))
        self.assertIn("--nonsense", self.error("push", "--nonsense", "k", "v", code=2))
        self.assertIn("too few", self.error("push", code=2))
        self.assertIn("too many", self.error("len", "a", "b", code=2))
        self.assertIn("databases", self.error("-n", "16", "len", "k", code=2))
        self.assertIn("always, interval or none", self.error("--sync", "never", "len", "k", code=2))
        self.assertIn("on or off", self.error("--journal", "maybe", "len", "k", code=2))
        self.assertFalse(os.path.exists(self.dir))
        self.assertIn("no values", self.error("push", "k", code=2))
        self.assertIn("pairs", self.error("add", "s", "f", "v", "g", code=2))
        self.assertIn("MS-SEQ", self.error("add", "s", "--id", "x-1", "f", "v", code=2))
        self.assertIn("numbers", self.error("range", "k", "one", code=2))
        self.assertEqual(self.out("keys", "--json").strip(), "[]")

    def test_a_word_that_begins_several_commands_lists_them(self):
        text = self.out("group", "--help")
        self.assertIn("  group ack ", text)
        self.assertNotIn("  push ", text)
        self.assertIn("group --help", self.error("group", code=2))
        self.assertEqual(self.out("--version"), self.out("version"))

    def test_reading_makes_no_store(self):
        for words in (["len", "k"], ["check"], ["uplink", "acl"], ["uplink", "status"],
                      ["uplink", "check", "localhost:1", "--plain"]):
            told = self.error(*words, code=3)
            self.assertIn("no store is there", told)
            self.assertIn("OXBOW_ENOENT", told)
        self.assertFalse(os.path.exists(self.dir))

    def test_completion_is_a_script_that_completes(self):
        script = self.out("completion", "bash")
        probe = script + "\nCOMP_WORDS=(oxbow group re); COMP_CWORD=2; _oxbow; " \
                         "echo \"${COMPREPLY[@]}\"\nCOMP_WORDS=(oxbow pu); COMP_CWORD=1; _oxbow; " \
                         "echo \"${COMPREPLY[@]}\"\nCOMP_WORDS=(oxbow pop --c); COMP_CWORD=2; " \
                         "_oxbow; echo \"${COMPREPLY[@]}\"\n"
        done = subprocess.run(["bash", "-c", probe], capture_output=True, text=True)
        self.assertEqual(done.stderr, "")
        self.assertEqual(done.stdout.split(), ["read", "push", "--count"])

    # ---- queues

    def test_policies_are_set_shown_and_cleared(self):
        self.run_cli("queue", "show", "k", code=3)  # no store yet, and none is made
        self.assertFalse(os.path.exists(self.dir))
        self.out("queue", "set", "k", "max-entries=2", "max-age=7d", "on-full=drop-oldest")
        self.out("queue", "set", "k", "max-bytes=10M")
        self.assertIn("max-entries=2 max-bytes=10M max-age=1w on-full=drop-oldest",
                      self.out("queue", "show"))
        self.out("push", "k", "a", "b", "c")
        self.assertEqual(self.out("range", "k"), "b\nc\n")
        one = json.loads(self.out("queue", "show", "k", "--json"))
        self.assertEqual((one["max-entries"], one["max-bytes"], one["max-age"], one["on-full"]),
                         (2, 10000000, 7 * 86400000, "drop-oldest"))
        self.assertEqual((one["entries"], one["dropped"], one["full"], one["held_by"]),
                         (2, 1, "yes", None))
        drops = json.loads(self.out("queue", "drops", "k", "--json"))
        self.assertEqual([(d["cause"], d["entries"], d["bytes"]) for d in drops], [("length", 1, 1)])
        gaps = json.loads(self.out("queue", "gaps", "k", "--json"))
        self.assertEqual([(g["entries"], g["causes"]) for g in gaps], [(1, "length")])
        self.out("queue", "set", "k", "on-full=refuse", "max-age=0")
        self.assertIn("OXBOW_EFULL", self.error("push", "k", "d", code=3))
        self.assertEqual(json.loads(self.out("queue", "show", "--json"))[0]["max-age"], 0)
        self.out("queue", "clear", "k")
        self.run_cli("queue", "clear", "k", code=1)
        self.assertIn("no policy", self.error("queue", "show", "k", code=1))
        self.assertEqual(self.out("queue", "show", "--json").strip(), "[]")
        self.out("push", "k", "d")

    def test_policies_that_make_no_sense_are_told(self):
        for words, told in ((["max-entries"], "FIELD=VALUE"), (["size=5"], "max-entries, max-bytes"),
                            (["max-entries=five"], "number"), (["max-entries=-1"], "number"),
                            (["max-bytes=10Q"], "number"), (["max-age=7"], "7d"),
                            (["max-age=7y"], "7d"), (["max-age=9999999999w"], "too large"),
                            (["max-age=99999999999999999d"], "7d"), (["on-full=drop"], "drop-oldest"),
                            (["=5"], "FIELD=VALUE"), (["max-entries=2000000T"], "too large"),
                            (["max-entries=1", "on-full="], "refuse")):
            self.assertIn(told, self.error("queue", "set", "k", *words, code=2), words)
        self.assertIn("too few", self.error("queue", "set", "k", code=2))
        self.assertEqual(self.out("queue", "show", "--json").strip(), "[]")

    def test_entries_with_priorities_go_first(self):
        self.out("queue", "set", "s", "priorities=3", "priority-weights=1,0,255", "priority-wait=5m")
        self.assertIn("priorities=3 priority-weights=1,0,255 priority-wait=5m",
                      self.out("queue", "show", "s"))
        one = json.loads(self.out("queue", "show", "s", "--json"))
        self.assertEqual(one["priority-weights"], "1,0,255")
        self.out("group", "create", "s", "g", "--make-stream")
        self.out("add", "s", "n", "low")
        self.out("add", "s", "n", "high", "--priority", "2")
        rows = json.loads(self.out("queue", "priorities", "s", "--json"))
        self.assertEqual([(r["priority"], r["entries"]) for r in rows], [(2, 1), (1, 0), (0, 1)])
        self.assertIn("high", self.out("group", "read", "s", "g", "c", "--count", "1"))
        self.assertIn("low", self.out("group", "read", "s", "g", "c", "--count", "1"))
        self.out("delay", "add", "s", "n", "later", "--in", "1ms", "--priority", "1")
        self.until(lambda: b"later" in self.run_cli("group", "read", "s", "g", "c", "--count", "1",
                                                    code=None).stdout)
        self.assertIn("OXBOW_EINVAL", self.error("add", "s", "n", "x", "--priority", "3", code=3))
        self.assertIn("0 to 7", self.error("add", "s", "n", "x", "--priority", "8", code=2))
        self.error("add", "s", "n", "x", "--priority", "-1", code=2)
        for word in ("priority-weights=256", "priority-weights=1,", "priority-weights=,1",
                     "priority-weights=1,2,3,4,5,6,7,8,9", "priority-weights=a", "priorities=9"):
            self.error("queue", "set", "s", word, code=2)
        self.out("queue", "set", "s", "priority-weights=0")
        self.assertNotIn("weights", self.out("queue", "show", "s"))
        self.run_cli("queue", "priorities", "none", code=1)

    def test_a_file_of_policies_can_be_loaded_again(self):
        path = os.path.join(self.top, "queues")
        with open(path, "w") as f:
            f.write("# limits\n\nqueue readings max-bytes=10M on-full=drop-oldest # oldest\n"
                    "queue\talarms max-entries=1000\n")
        self.assertEqual(self.out("queue", "load", path), "2 set, 0 unchanged\n")
        self.assertEqual(self.out("queue", "load", path), "0 set, 2 unchanged\n")
        self.out("queue", "set", "alarms", "max-age=1h")
        self.assertEqual(self.out("queue", "load", path), "1 set, 1 unchanged\n")
        self.assertNotIn("max-age", self.out("queue", "show", "alarms"))
        for line, told in (("queue x\nqueue y max=1", ":2: "), ("list k max-entries=1", "want: queue"),
                           ("queue", "want: queue"), ("queue k " + "x" * 9000, "too long")):
            with open(path, "w") as f:
                f.write(line + "\n")
            self.assertIn(told, self.error("queue", "load", path, code=2))
        self.assertNotIn('"x"', self.out("queue", "show", "--json"))
        self.assertIn("cannot be opened", self.error("queue", "load", path + ".none", code=3))

    def test_lists_keep_their_order_and_their_bytes(self):
        self.out("push", "k", "a", "b c", "ö")
        self.out("push", "--left", "k", "first")
        self.assertEqual(self.out("range", "k"), "first\na\nb c\nö\n")
        self.assertEqual(self.out("range", "k", "-2", "-1"), "b c\nö\n")
        self.assertEqual(json.loads(self.out("len", "k", "--json")), {"length": 4})
        self.assertEqual(self.out("pop", "k", "--count", "2"), "first\na\n")
        self.assertEqual(self.out("pop", "k", "-r"), "ö\n")
        self.assertEqual(self.out("pop", "k"), "b c\n")
        self.run_cli("pop", "k", code=1)
        self.run_cli("push", "-x", "k", "v")
        self.run_cli("range", "k", code=1)

    def test_lines_of_standard_input_are_values(self):
        lines = [b"line %d" % i for i in range(1000)] + [b"", b"\xff\x00\xfe", b"no newline"]
        self.run_cli("push", "k", "--stdin", stdin=b"\n".join(lines))
        self.assertEqual(self.run_cli("range", "k").stdout, b"\n".join(lines) + b"\n")
        rows = json.loads(self.out("range", "k", "1001", "1001", "--json"))
        self.assertEqual(rows, [{"value": {"base64": "/wD+"}}])

    def test_streams_refuse_ids_that_go_back(self):
        self.assertEqual(self.out("add", "s", "--id", "5-1", "f", "v").split()[-1], "5-1")
        self.assertIn("equal or smaller", self.error("add", "s", "--id", "5-1", "f", "v", code=3))
        self.out("add", "s", "--id", "5-*", "f", "w")
        rows = json.loads(self.out("read", "s", "--json"))
        self.assertEqual([r["id"] for r in rows], ["5-1", "5-2"])
        self.assertEqual(json.loads(self.out("read", "s", "--json", "-r"))[0]["fields"], [["f", "w"]])

    def test_a_key_has_one_type(self):
        self.out("push", "k", "v")
        self.assertIn("wrong kind", self.error("add", "k", "f", "v", code=3))
        self.assertEqual(self.out("range", "k"), "v\n")

    def test_a_group_hands_out_and_takes_acks(self):
        for i in range(3):
            self.out("add", "s", "--id", "%d-0" % (i + 1), "f", str(i))
        self.assertIn("OXBOW_ENOGROUP", self.error("group", "read", "s", "g", "c", code=3))
        self.out("group", "create", "s", "g")
        self.assertIn("OXBOW_EBUSYGROUP", self.error("group", "create", "s", "g", code=3))
        got = json.loads(self.out("group", "read", "s", "g", "c", "--count", "2", "--json"))
        self.assertEqual([r["id"] for r in got], ["1-0", "2-0"])
        self.out("group", "ack", "s", "g", "1-0")
        self.run_cli("group", "ack", "s", "g", "1-0", code=1)
        pending = json.loads(self.out("group", "pending", "s", "g", "--json"))
        self.assertEqual([(p["id"], p["consumer"], p["deliveries"]) for p in pending],
                         [("2-0", "c", 1)])
        rows = json.loads(self.out("group", "list", "s", "--json"))
        self.assertEqual((rows[0]["pending"], rows[0]["lag"]), (1, 1))

    def test_a_group_gives_back_what_failed_and_sends_it_to_the_dead_letters(self):
        for i in range(1, 4):
            self.out("add", "s", "f", str(i), "--id", f"{i}-0")
        self.out("group", "create", "s", "g")
        got = json.loads(self.out("group", "options", "s", "g", "--json"))
        self.assertEqual(got["visibility"], 0)
        self.error("group", "nack", "s", "g", "1-0", code=3)
        got = json.loads(self.out("group", "options", "s", "g", "visibility=1h", "max-deliveries=2",
                                  "dead-letter=dead", "retry-base=500ms", "--json"))
        self.assertEqual((got["visibility"], got["max-deliveries"], got["dead-letter"],
                          got["retry-base"]), (3600000, 2, "dead", 500))
        got = json.loads(self.out("group", "options", "s", "g", "prefetch=9", "--json"))
        self.assertEqual((got["visibility"], got["prefetch"]), (3600000, 9))
        self.out("group", "read", "s", "g", "c")
        self.out("group", "nack", "s", "g", "1-0", "--delay", "0")
        got = json.loads(self.out("group", "read", "s", "g", "c", "--json"))
        self.assertEqual([e["id"] for e in got], ["1-0"])
        self.out("group", "nack", "s", "g", "1-0")
        self.out("group", "nack", "s", "g", "2-0", "--dead", "--reason", "bad sum")
        self.run_cli("group", "nack", "s", "g", "2-0", code=1)
        self.assertIn("1", self.out("group", "extend", "s", "g", "2h", "3-0", "--consumer", "c"))
        self.run_cli("group", "extend", "s", "g", "2h", "3-0", "--consumer", "d", code=1)
        got = json.loads(self.out("group", "status", "s", "g", "--json"))
        self.assertEqual((got["redelivered"], got["dead_letters"]), (1, 2))
        self.assertIn("bad sum", self.out("read", "dead"))
        self.assertIn("max-deliveries", self.out("read", "dead"))
        got = json.loads(self.out("redrive", "dead", "--count", "1", "--json"))
        self.assertEqual(got["redriven"], 1)
        got = json.loads(self.out("redrive", "dead", "--json"))
        self.assertEqual(got["redriven"], 1)
        self.run_cli("redrive", "dead", code=1)
        got = json.loads(self.out("group", "read", "s", "g", "d", "--json"))
        self.assertEqual([e["id"] for e in got], ["1-0", "2-0"])

    def test_a_patrol_sends_back_what_was_left(self):
        self.out("push", "work", "a", "b")
        for words in ((), ("--timeout", "soon"), ("--timeout", "1s", "--max-returns", "-1")):
            self.error("patrol", "work", "jobs", *words, code=2)
        self.assertIn("OXBOW_EINVAL", self.error("patrol", "work", "work", "--timeout", "1s", code=3))
        self.assertIn("OXBOW_EINVAL", self.error("patrol", "work", "jobs", "--timeout", "1s",
                                                 "--max-returns", "1", code=3))
        got = json.loads(self.run_cli("patrol", "work", "jobs", "--timeout", "1ms", "--json",
                                      code=1).stdout)
        self.assertEqual((got["found"], got["returned"]), (2, 0))
        time.sleep(0.05)  # longer than the timeout, however long
        got = json.loads(self.out("patrol", "work", "jobs", "--timeout", "1ms", "--json"))
        self.assertEqual((got["found"], got["returned"], got["next"]), (2, 2, None))
        self.assertEqual(self.out("range", "jobs"), "a\nb\n")

    def test_wrong_words_about_a_groups_options_are_told(self):
        self.out("add", "s", "f", "1")
        self.out("group", "create", "s", "g")
        for word in ("visibility", "visibility=", "visibility=1y", "visibility=-1", "visiblity=1",
                     "visibility=9999999999999999999999", "prefetch=4294967296", "prefetch=1s",
                     "retry-jitter=101", "=1", ""):
            self.error("group", "options", "s", "g", word, code=2)
        for words in (("max-deliveries=1",), ("dead-letter=s",), ("retry-factor=99",),
                      ("retry-base=2s", "retry-max=1s")):
            self.assertIn("OXBOW_EINVAL", self.error("group", "options", "s", "g", *words, code=3))
        self.assertIn("OXBOW_ENOGROUP", self.error("group", "options", "s", "h", code=3))
        self.error("group", "nack", "s", "g", "x", code=2)
        self.error("group", "nack", "s", "g", "1-0", "--dead", "--delay", "1s", code=2)
        self.error("group", "nack", "s", "g", "1-0", "--delay", "soon", code=2)
        self.error("group", "nack", "s", "g", "1-0", "--reason", "why", code=2)
        self.error("group", "extend", "s", "g", "soon", "1-0", code=2)
        self.error("redrive", "dead", "x", code=2)
        self.out("push", "l", "x")
        self.assertIn("OXBOW_EWRONGTYPE", self.error("redrive", "l", code=3))

    def test_a_store_keeps_its_name_and_says_so(self):
        self.out("push", "k", "v")
        self.assertIn("no identity", self.error("uplink", "acl", code=3))
        self.assertIn("no forwards", self.run_cli("uplink", "status").stderr.decode())
        self.out("identity", "gw-1")
        self.assertIn("is gw-1 already", self.error("identity", "gw-2", code=3))
        for name in ("one", "two"):
            self.out("forward", "add", name, name)
        text = self.out("uplink", "status")
        self.assertEqual(len(text.split("\n\n")), 2)
        self.assertLessEqual(max(map(len, text.splitlines())), 80)
        rows = json.loads(self.out("uplink", "status", "--json"))
        self.assertEqual([r["forward"] for r in rows], ["one", "two"])

    def test_an_interrupted_bench_leaves_nothing_behind(self):
        bench = subprocess.Popen([PROGRAM, "bench", self.top], stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE)
        self.until(lambda: os.listdir(self.top))
        self.assertEqual(len(os.listdir(self.top)), 1)
        bench.send_signal(signal.SIGINT)
        _, told = bench.communicate(timeout=PATIENCE)
        self.assertEqual((bench.returncode, told), (3, b"oxbow: bench: stopped\n"))
        self.assertEqual(os.listdir(self.top), [])

    def test_a_check_tells_a_fault_once(self):
        self.out("identity", "gw-1")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            target = "127.0.0.1:%d" % free.getsockname()[1]
        done = self.run_cli("uplink", "check", target, "--plain", code=3)
        self.assertEqual(done.stderr, b"")
        self.assertEqual(done.stdout.count(b"connection refused"), 1)

    def test_asking_for_the_identity_makes_no_store(self):
        self.assertIn("no store is there", self.error("identity", code=3))
        self.assertFalse(os.path.exists(self.dir))
        self.out("identity", "gw-1")
        self.assertIn("gw-1", self.out("identity"))

    # ---- the store

    def test_a_store_in_use_is_left_alone(self):
        holder = subprocess.Popen([PROGRAM, "-d", self.dir, "push", "k", "--stdin"],
                                  stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        try:
            self.until(lambda: os.path.exists(os.path.join(self.dir, "FORMAT")))
            ask = " (--server asks a daemon)"
            for command, more in ((["push", "k", "v"], ""), (["stat"], ask), (["check"], "")):
                self.assertEqual(self.error(*command, code=3),
                                 "oxbow: %s: the store is in use by process %d%s (OXBOW_ELOCKED)\n"
                                 % (self.dir, holder.pid, more))
        finally:
            holder.stdin.close()
            self.assertEqual(holder.wait(PATIENCE), 0)

    def test_an_interrupted_push_leaves_whole_batches(self):
        holder = subprocess.Popen([PROGRAM, "-d", self.dir, "push", "k", "--stdin"],
                                  stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        holder.stdin.write(b"x\n" * 300)
        holder.stdin.flush()
        self.until(lambda: len(self.frames()) == 1)
        holder.send_signal(signal.SIGINT)
        holder.wait(PATIENCE)
        holder.stdin.close()
        self.assertEqual(self.out("len", "k").split()[-1], "256")

    def killed_with_three_frames(self):
        """A store whose process was killed, and where its frames stand: file, position."""
        holder = subprocess.Popen([PROGRAM, "-d", self.dir, "push", "k", "--stdin"],
                                  stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        for n in range(3): # a batch each
            holder.stdin.write(b"x\n" * 256)
            holder.stdin.flush()
            self.until(lambda n=n: len(self.frames()) == n + 1)
        holder.kill()
        holder.wait(PATIENCE)
        holder.stdin.close()
        return self.frames()

    def frames(self):
        """Where there is something in the journal of a store that is being made or used."""
        places = []
        names = os.listdir(self.dir) if os.path.exists(self.dir) else []
        for path in sorted(os.path.join(self.dir, n) for n in names if re.fullmatch(r"journal\.\d+", n)):
            with open(path, "rb") as f:
                data = f.read()
            places += [(path, at) for at in range(4096, len(data), 4096) if any(data[at:at + 64])]
        return places

    def test_check_tells_lost_and_doubtful_transactions(self):
        places = self.killed_with_three_frames()
        report = json.loads(self.out("check", "--json"))
        self.assertEqual((report["lost_transactions"], report["doubtful_transactions"]),
                         (None, None))
        self.assertEqual(report["in_journal"], 3)
        def flip(place):
            with open(place[0], "r+b") as f:
                f.seek(place[1] + 60)
                byte = f.read(1)[0] ^ 4
                f.seek(place[1] + 60)
                f.write(bytes([byte]))
        flip(places[-1])
        done = self.run_cli("check", "--json")
        report = json.loads(done.stdout)
        self.assertIsNone(report["lost_transactions"])
        first, last = report["doubtful_transactions"].split("-")
        self.assertEqual(first, last)
        self.assertEqual(report["in_journal"], 2)
        self.assertIn(("transactions %s to %s are not whole" % (first, last)).encode(), done.stderr)
        flip(places[0])
        done = self.run_cli("check", "--json", code=3)
        report = json.loads(done.stdout)
        self.assertIsNotNone(report["lost_transactions"])
        self.assertGreater(report["findings"], 0)
        self.assertEqual(report["in_journal"], 0)

    def test_a_foreign_directory_is_not_overwritten(self):
        os.mkdir(self.dir)
        path = os.path.join(self.dir, "data.mdb")
        with open(path, "wb") as f:
            f.write(b"somebody else's\n" * 1000)
        self.error("push", "k", "v", code=3)
        with open(path, "rb") as f:
            self.assertEqual(f.read(), b"somebody else's\n" * 1000)

    def test_a_full_store_refuses_pushes_and_gives_what_it_has(self):
        block = "x" * 60000
        code = 0
        for _ in range(60):
            done = subprocess.run([PROGRAM, "-d", self.dir, "--quota", "1048576", "push", "k",
                                   block], capture_output=True)
            code = done.returncode
            if code != 0:
                break
        self.assertEqual(code, 3)
        self.assertIn(b"OXBOW_EQUOTA", done.stderr)
        self.out("--quota", "1048576", "pop", "k", "--count", "8")
        self.out("--quota", "1048576", "push", "k", "there is room again")

    def test_time_tells_the_clocks_and_when_entries_were_written(self):
        before = time.time() * 1000
        self.out("add", "s", "f", "v")
        after = time.time() * 1000
        clocks = json.loads(self.out("time", "--json"))
        self.assertEqual((clocks["wall_set"], clocks["believed"], clocks["boot"]), ("yes", "yes", 1))
        rows = json.loads(self.out("time", "s", "--json"))
        self.assertEqual([row["known"] for row in rows], ["yes"])
        self.assertTrue(before - 1 <= rows[0]["from_ms"] <= rows[0]["to_ms"] <= after)
        self.assertEqual(json.loads(self.out("time", "s", rows[0]["id"], "--json")), rows)
        timed = json.loads(self.out("read", "s", "--true-time", "--json"))
        self.assertEqual(timed[0]["time"], str(rows[0]["from_ms"]))
        self.assertEqual(self.out("read", "s", "--true-time").split()[:4],
                         ["id", "time", "field", "value"])
        self.error("time", "s", "x", code=2)
        self.run_cli("time", "s", "1-1", code=1)
        self.run_cli("time", "nothing", code=1)

    def test_delayed_entries_come_when_they_are_due(self):
        self.out("delay", "push", "l", "later", "--in", "1h")
        self.out("delay", "push", "l", "now", "--at", "2001-01-01")
        cancel = json.loads(self.out("delay", "push", "l", "never", "--in", "1", "--json"))["delay"]
        self.out("delay", "add", "s", "f", "v", "--in", "0ms")
        self.assertEqual(self.out("pop", "l"), "now\n")
        self.assertIn("v", self.out("read", "s"))
        rows = json.loads(self.out("delay", "list", "l", "--json"))
        self.assertEqual([row["clock"] for row in rows], ["store", "store"])
        self.out("delay", "cancel", cancel)
        self.run_cli("delay", "cancel", cancel, code=1)
        row = json.loads(self.out("delay", "list", "--json"))[0]
        began = time.time()
        moved = json.loads(self.out("delay", "move", row["delay"], "--in", "1s", "--json"))["delay"]
        self.assertEqual(moved.split("-")[1], row["delay"].split("-")[1])
        self.until(lambda: self.run_cli("pop", "l", code=None).returncode == 0)
        self.assertGreater(time.time() - began, 0.99)
        stat = json.loads(self.out("delay", "stat", "--json"))
        self.assertEqual((stat["waiting"], stat["added"], stat["damaged"]), (0, 3, 0))
        for bad in (["push", "l", "v"], ["push", "l", "v", "--in", "1", "--at", "5"],
                    ["push", "l", "v", "--in", "soon"], ["push", "l", "v", "--in", "5m2h"],
                    ["push", "l", "v", "--in", "99999w"], ["push", "l", "v", "--at", "yesterday"],
                    ["push", "l", "v", "--at", "2027-01-31T12"], ["push", "l"],
                    ["add", "s", "f", "--in", "1"], ["cancel", "1"], ["cancel", "x-1"],
                    ["move", "1-", "--in", "1"], ["move", "1-1"]):
            self.error("delay", *bad, code=2)
        self.run_cli("delay", "list", code=1)

    def test_schedules_add_entries_again_and_again(self):
        self.out("schedule", "push", "beat", "every 200ms", "l", "tick")
        self.out("schedule", "add", "report", "0 6 29 2 *", "s", "kind", "daily",
                 "--offset=+02:00", "--missed=once")
        while json.loads(self.out("schedule", "show", "beat", "--json"))["added"] < 2:
            time.sleep(0.05)
            self.run_cli("pop", "l", code=None)
        self.out("schedule", "pause", "beat")
        rows = json.loads(self.out("schedule", "list", "--json"))
        self.assertEqual([row["name"] for row in rows], ["beat", "report"])
        self.assertEqual([row["paused"] for row in rows], ["yes", "no"])
        self.assertEqual(rows[1]["next"][4:], "-02-29T04:00:00Z")
        row = json.loads(self.out("schedule", "show", "report", "--json"))
        self.assertEqual((row["offset_min"], row["on_missed"], row["type"], row["clock"]),
                         (120, "once", "stream", "wall"))
        self.out("schedule", "resume", "beat")
        self.out("schedule", "remove", "beat")
        self.run_cli("schedule", "remove", "beat", code=1)
        self.run_cli("schedule", "show", "beat", code=1)
        self.run_cli("schedule", "pause", "beat", code=1)
        rows = json.loads(self.out("schedule", "next", "30 */8 * * sun", "-c", "4", "--json",
                                   "--from", "2026-11-21", "--offset=-00:30"))
        self.assertEqual([row["next"] for row in rows],
                         ["2026-11-22T01:00:00Z", "2026-11-22T09:00:00Z", "2026-11-22T17:00:00Z",
                          "2026-11-29T01:00:00Z"])
        said = self.error("schedule", "push", "x", "*/5 * * * moon", "l", "v", code=2)
        self.assertIn("at character 11: a weekday is 0 to 7, or sun to sat", said)
        for bad in (["push", "x", "@daily", "l"], ["push", "x y", "@daily", "l", "v"],
                    ["push", "x", "", "l", "v"], ["push", "x", "@daily", "l", "v", "--late", "0"],
                    ["push", "x", "@daily", "l", "v", "--offset", "2"],
                    ["push", "x", "@daily", "l", "v", "--offset=+25:00"],
                    ["push", "x", "@daily", "l", "v", "--offset=+1:75"],
                    ["push", "x", "@daily", "l", "v", "--missed", "some"],
                    ["push", "x", "@daily", "l", "v", "--missed-max", "10001"],
                    ["add", "x", "@daily", "s", "f"], ["next", "every"],
                    ["next", "@daily", "--from", "then"]):
            self.error("schedule", *bad, code=2)

    def exposition(self, text):
        """Prometheus' text format, as its own parser sees it: {(name, labels): value}."""
        label = r'[a-z_]+="(?:[^"\\\n]|\\["\\n])*"'
        line = re.compile(r"([a-z_]+)(?:\{(" + label + "(?:," + label + r")*)\})? ([0-9.]+)$")
        seen, types, last = {}, {}, None
        self.assertTrue(text.endswith("\n"))
        for row in text[:-1].split("\n"):
            if row.startswith("# HELP "):
                last = row.split(" ")[2]
                self.assertNotIn(last, types)
                continue
            if row.startswith("# TYPE "):
                self.assertEqual(row.split(" ")[2], last)
                types[last] = row.split(" ")[3]
                self.assertIn(types[last], ("gauge", "counter"))
                continue
            found = line.match(row)
            self.assertIsNotNone(found, row)
            self.assertEqual(found.group(1), last)  # all samples of one name stand together
            key = (found.group(1), found.group(2) or "")
            self.assertNotIn(key, seen)
            seen[key] = float(found.group(3))
        return seen

    def test_metrics_are_what_prometheus_reads(self):
        for key in ("plain", 'quo"te', "back\\slash", "new\nline", "", b"\xff\xfe", b"\xff\xfd",
                    "\u00e9"):
            self.run_cli("push", key, "1", "2")
        self.out("add", "stream", "f", "v")
        self.out("group", "create", "stream", 'g"')
        self.out("queue", "set", "plain", "max-entries=1", "on-full=drop-oldest")
        self.out("push", "plain", "3")
        seen = self.exposition(self.out("metrics"))
        entries = {labels: value for (name, labels), value in seen.items()
                   if name == "oxbow_queue_entries"}
        self.assertEqual(entries, {
            'database="0",queue="plain"': 1, 'database="0",queue="quo\\"te"': 2,
            'database="0",queue="back\\\\slash"': 2, 'database="0",queue="new\\nline"': 2,
            'database="0",queue=""': 2, 'database="0",queue_hex="fffe"': 2,
            'database="0",queue_hex="fffd"': 2, 'database="0",queue="\u00e9"': 2,
            'database="0",queue="stream"': 1})
        self.assertEqual(seen["oxbow_queue_dropped_entries_total",
                              'database="0",queue="plain",cause="length"'], 2)
        self.assertEqual(seen["oxbow_group_lag_entries",
                              'database="0",queue="stream",group="g\\""'], 1)
        self.assertGreater(seen["oxbow_store_quota_bytes", ""], 0)

    def test_metrics_of_some_queues_and_as_json(self):
        self.out("push", "a", "1")
        self.out("push", "b\n\x01", "1", "2")
        rows = json.loads(self.out("metrics", "b\n\x01", "--json"))
        self.assertIn({"name": "oxbow_queue_entries",
                       "labels": {"database": "0", "queue": "b\n\x01"}, "value": 2}, rows)
        self.assertFalse([r for r in rows if r["labels"]["queue"] == "a"])
        self.assertIn("OXBOW_ENOENT", self.error("metrics", "c", code=3))
        self.assertEqual(len(self.exposition(self.out("metrics", "a", "a"))),
                         len(self.exposition(self.out("metrics", "a"))))

    def test_every_figure_is_in_the_manual(self):
        manual = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/METRICS.md")
        with open(manual, encoding="utf-8") as f:
            names = re.findall(r"^\| `([a-z_]+)` \|", f.read(), re.M)
        self.assertEqual(len(names), len(set(names)))
        self.out("push", "k", "v")
        told = {name for name, _ in self.exposition(self.out("metrics"))}
        self.assertGreater(len(told), 25)
        self.assertFalse(told - set(names))

    def test_foreign_files_are_set_aside_when_that_is_asked_for(self):
        os.mkdir(self.dir)
        with open(os.path.join(self.dir, "data.mdb"), "w", encoding="ascii") as f:
            f.write("another program's")
        self.assertIn("OXBOW_EFORMAT", self.error("push", "k", "v", code=3))
        self.assertIn("OXBOW_EFORMAT", self.error("--on-foreign=refuse", "push", "k", "v",
                                                 code=3))
        self.assertIn("refuse or set-aside",
                      self.error("--on-foreign=maybe", "push", "k", "v", code=2))
        self.assertEqual(self.out("--on-foreign=set-aside", "push", "k", "v"), "length  1\n")
        with open(os.path.join(self.dir, "foreign-1", "data.mdb"), encoding="ascii") as f:
            self.assertEqual(f.read(), "another program's")
        self.assertEqual(self.out("pop", "k"), "v\n")

    def test_what_to_do_on_failure_is_for_commands_that_stay(self):
        self.out("push", "k", "v")
        run = ("uplink", "run", "127.0.0.1:1", "--plain")
        self.assertIn("stop or memory", self.error(*run, "--on-failure=maybe", code=2))
        for size in ("0", "1000000", "134217729", "-1", "much"):
            self.assertIn("--memory-max", self.error(*run, "--memory-max=" + size, code=2))
        self.error("push", "k", "v", "--on-failure=memory", code=2)

    def test_a_cap_on_the_link_is_a_number_of_bytes(self):
        self.out("push", "k", "v")
        for rate in ("0", "63", "-1", "fast", "5G", ""):
            self.assertIn("--max-rate", self.error("uplink", "run", "127.0.0.1:1", "--plain",
                                                   "--max-rate=" + rate, code=2))

    def stand_in(self):
        """A place for one; its store is made, holds one element, and is away."""
        self.out("push", "k", "first")
        self.out("identity", "dev")
        os.rename(self.dir, self.dir + ".away")
        return "--stand-in=" + os.path.join(self.top, "memory")

    def test_a_stand_in_takes_what_comes_and_is_merged(self):
        place = self.stand_in()
        done = self.run_cli(place, "push", "k", "second")
        self.assertEqual(done.stdout.decode(), "length  1\n")
        self.assertIn("CANNOT BE OPENED", done.stderr.decode())
        self.assertEqual(json.loads(self.out(place, "stat", "--json"))["in_memory"],
                         "OXBOW_ENOENT")
        self.assertFalse(os.path.exists(self.dir))
        os.rename(self.dir + ".away", self.dir)
        done = self.run_cli(place, "push", "k", "third")
        self.assertEqual(done.stdout.decode(), "length  3\n")
        self.assertIn("came from a stand-in", done.stderr.decode())
        self.assertIsNone(json.loads(self.out("stat", "--json"))["in_memory"])
        self.assertEqual([self.out("pop", "k") for _ in range(3)],
                         ["first\n", "second\n", "third\n"])

    def test_bad_places_for_a_stand_in_are_refused(self):
        self.out("push", "k", "v")
        for place in (self.dir, self.dir + "/in", self.top, ""):
            self.assertIn("OXBOW_EINVAL", self.error("--stand-in=" + place, "push", "k", "v",
                                                    code=3))
        self.assertIn("--on-failure", self.error("--stand-in=/dev/shm/x", "uplink", "run",
                                                 "127.0.0.1:1", "--plain", "--on-failure=stop",
                                                 code=2))

    def test_an_uplink_goes_over_to_the_store_when_its_device_is_back(self):
        place = self.stand_in()
        self.out(place, "identity", "dev")
        self.out(place, "push", "k", "second")
        run = subprocess.Popen([PROGRAM, "-d", self.dir, place, "uplink", "run", "127.0.0.1:1",
                                "--plain"], stderr=subprocess.PIPE)
        try:
            said = b""
            while b"CANNOT BE OPENED" not in said:
                said = run.stderr.readline()
                self.assertTrue(said)
            os.rename(self.dir + ".away", self.dir)
            while b"came from a stand-in" not in said:
                said = run.stderr.readline()
                self.assertTrue(said)
            run.send_signal(signal.SIGINT)
            self.assertEqual(run.wait(timeout=60), 0)
        finally:
            run.kill()
            run.stderr.close()
        self.assertEqual([self.out("pop", "k") for _ in range(2)], ["first\n", "second\n"])

    def test_upgrade_tells_the_level_and_stat_what_is_used(self):
        self.out("push", "k", "v")
        self.assertEqual(json.loads(self.out("upgrade", "--json")), {"was": 2, "level": 2})
        self.assertEqual(json.loads(self.out("stat", "--json"))["features"], "")
        self.out("queue", "set", "k", "max-entries=10")
        stat = json.loads(self.out("stat", "--json"))
        self.assertEqual((stat["level"], stat["features"]), (2, "policies"))

    def test_an_entry_lives_as_long_as_it_was_given(self):
        kept = json.loads(self.out("add", "s", "f", "long", "--ttl", "1h", "--json"))["id"]
        began = time.monotonic()
        self.out("add", "s", "f", "short", "--ttl", "300ms")
        while "short" in self.out("read", "s"):
            self.assertLess(time.monotonic() - began, PATIENCE)
        self.assertGreater(time.monotonic() - began, 0.29)
        self.assertIn("long", self.out("read", "s"))
        self.out("expire", "s", kept, "1ms")
        self.until(lambda: self.run_cli("read", "s", code=None).returncode == 1)
        self.run_cli("expire", "s", "1-1", "1h", code=1)
        for bad in (["add", "s", "f", "v", "--ttl", "x"], ["add", "s", "f", "v", "--ttl", "20000w"],
                    ["expire", "s", "1-1", "soon"], ["expire", "s", "x", "1h"], ["expire", "s", "1-1"]):
            self.error(*bad, code=2)

    def test_what_is_added_twice_is_there_once(self):
        def once(*args):
            return json.loads(self.out("once", *args, "--json"))
        first = once("add", "s", "f", "v", "--id", "x")
        self.assertEqual(first["duplicate"], "no")
        self.assertEqual(once("add", "s", "f", "v", "--id", "x"),
                         {"duplicate": "yes", "id": first["id"]})
        self.assertEqual(once("push", "l", "v", "--producer", "p", "--sequence", "5")["duplicate"], "no")
        self.assertEqual(once("push", "l", "v", "--producer", "p", "--sequence", "4")["duplicate"], "yes")
        self.assertEqual(once("sequence", "l", "p"), {"sequence": 5})
        self.assertEqual(self.out("range", "l"), "v\n")
        self.out("once", "forget", "l", "p")
        self.run_cli("once", "forget", "l", "p", code=1)
        self.run_cli("once", "sequence", "l", "p", code=1)
        for bad in (["l", "v"], ["l", "v", "--id", "a", "--producer", "p", "--sequence", "1"],
                    ["l", "v", "--producer", "p"], ["l", "v", "--id", "a", "--sequence", "1"],
                    ["l", "v", "--producer", "p", "--sequence", "-1"], ["l", "--id", "a"]):
            self.error("once", "push", *bad, code=2)
        self.error("once", "push", "l", "v", "--id", "", code=3)
        self.error("once", "push", "l", "v", "--id", "x" * 513, code=3)

    def test_bindings_lead_entries_to_other_queues(self):
        first = self.out("bind", "orders", "audit").split()[-1]
        self.out("bind", "orders", "eu", "on-full=skip", "topic", "key", "order.#.eu")
        self.out("bind", "orders", "jobs", "list=n", "direct", "key", "order.eu")
        self.out("bind", "orders", "vip", "headers", "n", "1", "key", "order.eu")
        self.out("bind", "orders", "some", "any-header", "n", "1", "n", "2")
        self.assertEqual(self.out("bind", "orders", "audit").split()[-1], first)
        self.out("route", "orders", "alternate=rest")
        self.out("add", "orders", "key", "order.eu", "n", "1")
        self.out("add", "orders", "key", "order.us", "n", "2")
        for key, want in (("orders", 2), ("audit", 2), ("eu", 1), ("vip", 1), ("some", 2)):
            self.assertEqual(len(json.loads(self.out("read", key, "--json"))), want, key)
        self.assertEqual(self.out("range", "jobs"), "1\n")
        rows = json.loads(self.out("bindings", "orders", "--json"))
        self.assertEqual([r["kind"] for r in rows],
                         ["all", "topic", "direct", "headers", "any-header"])
        self.assertEqual(rows[1]["takes"], "key order.#.eu")
        self.assertEqual(rows[1]["on_full"], "skip")
        self.assertEqual(rows[2]["list"], "n")
        self.out("unbind", first)
        self.run_cli("unbind", first, code=1)
        self.out("route", "orders", "keep=no", "alternate=rest")
        self.out("add", "orders", "key", "other", "n", "9")
        self.assertEqual(len(json.loads(self.out("read", "rest", "--json"))), 1)
        row, = json.loads(self.out("routes", "--json"))
        self.assertEqual((row["source"], row["keep"], row["alternate"]), ("orders", "no", "rest"))
        self.assertEqual((row["entries"], row["routed"], row["alternated"]), (3, 7, 1))
        self.run_cli("bindings", "nothing", code=1)
        self.run_cli("routes", "nothing", code=1)

    def test_wrong_words_about_bindings_are_told(self):
        self.assertIn("too few", self.error("bind", "s", code=2))
        self.assertIn("direct FIELD VALUE", self.error("bind", "s", "d", "direct", "f", code=2))
        self.assertIn("topic FIELD PATTERN", self.error("bind", "s", "d", "topic", code=2))
        self.assertIn("no arguments", self.error("bind", "s", "d", "all", "x", code=2))
        self.assertIn("pairs", self.error("bind", "s", "d", "headers", "x", code=2))
        self.assertIn("on-full", self.error("bind", "s", "d", "on-full=never", code=2))
        self.assertIn("on-full", self.error("bind", "s", "d", "nonsense", code=2))
        self.assertIn("keep=yes", self.error("route", "s", "keep=maybe", code=2))
        self.assertIn("number", self.error("unbind", "x", code=2))
        self.assertIn("OXBOW_ECYCLE", self.error("bind", "s", "s", code=3))
        self.out("bind", "a", "b")
        self.assertIn("OXBOW_ECYCLE", self.error("bind", "b", "a", code=3))
        self.assertIn("OXBOW_ETOOBIG", self.error("bind", "s", "d" * 1025, code=3))

    def test_check_tells_of_a_binding_that_makes_no_sense(self):
        self.out("bind", "orders", "billing-of-all-orders")
        self.out("bind", "orders", "other")
        self.assertEqual(json.loads(self.out("check", "--json"))["findings"], 0)
        path = os.path.join(self.dir, "data.mdb")
        with open(path, "rb") as f:
            data = bytearray(f.read())
        at = 0
        while (at := data.find(b"ordersbilling-of-all-orders", at)) >= 0:
            data[at] ^= 0x20
            at += 1
        with open(path, "wb") as f:
            f.write(data)
        done = self.run_cli("check", "--json", code=3)
        self.assertEqual(json.loads(done.stdout)["findings"], 2)  # the value, and what it was
        self.assertIn(b"binding 2: its record makes no sense", done.stderr)
        self.out("unbind", "2")
        self.assertEqual(json.loads(self.out("check", "--json"))["verdict"], "sound")
        self.assertEqual(len(json.loads(self.out("bindings", "--json"))), 1)

    def test_bindings_can_be_loaded_from_a_file(self):
        file = os.path.join(self.top, "queues")
        with open(file, "w", encoding="utf-8") as f:
            f.write("# all of it\nqueue d max-entries=5\nbind s d topic key #.b\n"
                    "route s alternate=rest\n")
        for _ in range(2):
            self.out("queue", "load", file)
        self.assertEqual(len(json.loads(self.out("bindings", "--json"))), 1)
        self.out("add", "s", "key", "a.b")
        self.out("add", "s", "key", "c")
        self.assertEqual(len(json.loads(self.out("read", "d", "--json"))), 1)
        self.assertEqual(len(json.loads(self.out("read", "rest", "--json"))), 1)
        with open(file, "w", encoding="utf-8") as f:
            f.write("bind t u\nbind s\n")
        self.assertIn(":2: want: SOURCE DESTINATION", self.error("queue", "load", file, code=2))
        self.assertEqual(len(json.loads(self.out("bindings", "--json"))), 1)

    def test_a_key_holds_the_value_that_was_set_last(self):
        self.out("set", "k", "one")
        self.out("set", "k", "two words")
        self.assertEqual(self.out("get", "k"), "two words\n")
        self.assertEqual(json.loads(self.out("get", "k", "--json")), {"value": "two words"})
        self.run_cli("get", "nothing", code=1)
        self.out("push", "l", "v")
        self.assertIn("WRONGTYPE", self.error("get", "l", code=3))
        self.assertIn("too few", self.error("set", "k", code=2))
        self.out("set", "empty", "")
        self.assertEqual(self.out("get", "empty"), "\n")
        file = os.path.join(self.top, "export")
        self.out("export", file)
        other = os.path.join(self.top, "other")
        self.run_cli("import", file, directory=other)
        self.assertEqual(self.out("get", "k", directory=other), "two words\n")
        self.assertEqual(self.out("get", "empty", directory=other), "\n")
        self.out("check")
        self.out("del", "k")
        self.run_cli("get", "k", code=1)

    def test_stat_and_keys_tell_what_is_there(self):
        self.out("push", "jobs", "v")
        self.out("add", "log", "f", "v")
        stat = json.loads(self.out("stat", "--json"))
        self.assertEqual(stat["policy"], "always")
        self.assertGreaterEqual(stat["lsn_durable"], 2)
        self.assertEqual(stat["values_bad"], 0)
        keys = {k["key"]: k["type"] for k in json.loads(self.out("keys", "--json"))}
        self.assertEqual(keys, {"jobs": "list", "log": "stream"})
        self.out("del", "jobs")
        self.run_cli("del", "jobs", code=1)

    def test_stat_tells_what_the_device_was_written(self):
        def wear(*options):
            return json.loads(self.out(*options, "stat", "--json"))

        self.out("push", "jobs", "v")
        first = wear()
        self.assertEqual(first["written"], first["written_journal"] + first["written_checkpoint"]
                         + first["written_other"])
        self.assertGreater(first["written_checkpoint"], 0)
        self.assertGreater(first["payload"], 0)
        self.assertEqual((first["endurance"], first["years_left"]), (None, None))
        self.assertEqual(wear()["written"], first["written"], "looking costs nothing")
        self.out("push", "jobs", "w" * 1000)
        second = wear("--endurance", "1G")
        self.assertGreater(second["written"], first["written"])
        self.assertGreaterEqual(second["payload"], first["payload"] + 1000)
        self.assertEqual(second["endurance"], 10 ** 9)
        self.assertAlmostEqual(second["endurance_used_percent"], second["written"] / 1e7, 3)
        for bad in ("", "x", "1q", "1MM", "-1", "99999999999999999999"):
            self.assertIn("endurance", self.error("--endurance=" + bad, "stat",
                                                   code=2))

    def test_probe_measures_a_directory_and_leaves_nothing_there(self):
        place = os.path.join(self.top, "place")
        os.mkdir(place)
        found = json.loads(self.out("probe", place, "--json", "--seconds", "1", "--size", "2M"))
        self.assertGreaterEqual(found["zeroed_syncs"], 4)
        self.assertLessEqual(found["zeroed_least_us"], found["zeroed_median_us"])
        self.assertLessEqual(found["zeroed_median_us"], found["zeroed_p99_us"])
        self.assertGreaterEqual(found["interval_ms"], 100)
        self.assertGreater(min(found["pushes_16_per_s"], found["pushes_1_per_s"]), 0)
        self.assertGreater(found["free"], 0)
        self.assertEqual(os.listdir(place), [])
        text = self.out("probe", place, "--seconds", "1", "--size", "2M")
        for word in ("file system", "over zeros", "at a growing end", "always", "interval"):
            self.assertIn(word, text)
        self.assertEqual(os.listdir(place), [])

    def test_probe_says_what_is_wrong_with_a_place(self):
        plain = os.path.join(self.top, "file")
        open(plain, "w").close()
        self.assertIn("no such directory", self.error("probe", self.top + "/none", code=3))
        self.assertIn("Not a directory", self.error("probe", plain, code=3))
        self.assertIn("too little space", self.error("probe", "/proc", code=3))
        for words in ([], ["--seconds", "301"], ["--size", "1k"], ["--size", "2000M"],
                      ["--size", "much"]):
            where = [self.top] if words else []
            self.error("probe", *where, *words, code=2)

    def test_check_finds_nothing_in_a_sound_store_and_a_flipped_byte_in_another(self):
        self.fill()
        report = json.loads(self.out("check", "--json"))
        self.assertEqual((report["verdict"], report["findings"]), ("sound", 0))
        self.assertEqual((report["queues"], report["entries"]), (5, 523))
        path = os.path.join(self.dir, "data.mdb")
        with open(path, "rb") as f:
            data = bytearray(f.read())
        at = data.index(b"y" * 1000) + 500
        data[at] ^= 0x20
        with open(path, "wb") as f:
            f.write(data)
        done = self.run_cli("check", "--json", code=3)
        self.assertGreater(json.loads(done.stdout)["findings"], 0)
        self.assertIn(b"OXBOW_ECORRUPT", self.run_cli("range", "big", code=3).stderr)
        self.assertEqual(self.out("range", "list", "0", "1"), "0\n1\n")
        self.assertEqual(self.run_cli("repair", "--dry-run", "--json", code=3).stdout, done.stdout)
        self.error("repair", "--dry-run", "--forget", code=2)
        losses = json.loads(self.out("repair", "--json"))
        self.assertEqual([x["kind"] for x in losses], ["rebuilt", "entries"])
        self.assertEqual((losses[1]["key"], losses[1]["entries"]), ("big", 1))
        self.assertIn("1 entries lost", losses[1]["text"])
        self.assertEqual(json.loads(self.out("check", "--json"))["verdict"], "sound")
        self.assertEqual(json.loads(self.out("check", "--json"))["losses"], 2)
        stat = json.loads(self.out("stat", "--json"))
        self.assertEqual((stat["losses"], stat["newest_loss"]), (2, losses[1]["text"]))
        self.assertTrue(os.path.exists(os.path.join(self.dir, "quarantine", "damaged.mdb")))
        self.assertEqual(self.out("range", "list", "0", "1"), "0\n1\n")
        self.assertEqual(len(json.loads(self.out("repair", "--forget", "--json"))), 2)
        self.assertEqual(json.loads(self.out("repair", "--json")), [])
        stat = json.loads(self.out("stat", "--json"))
        self.assertEqual((stat["losses"], stat["newest_loss"]), (0, None))
        self.assertIn("OXBOW_ENOENT", self.error("check", code=3,
                                                 directory=os.path.join(self.top, "none")))

    def test_a_compacted_store_is_short_and_holds_the_same(self):
        self.fill()
        self.run_cli("push", "gone", "--stdin", stdin=b"z" * 2000000)
        self.out("del", "gone")
        before = by_key(self.run_cli("export").stdout)
        report = json.loads(self.out("compact", "--json"))
        self.assertLess(report["after"], report["before"])
        self.assertEqual(by_key(self.run_cli("export").stdout), before)
        self.assertEqual(json.loads(self.out("check", "--json"))["verdict"], "sound")
        self.assertIn("OXBOW_ENOENT", self.error("compact", code=3,
                                                 directory=os.path.join(self.top, "none")))

    # ---- export and import

    def fill(self):
        self.run_cli("push", "list", "--stdin", stdin=b"".join(b"%d\n" % i for i in range(500)))
        self.run_cli("push", "big", "--stdin", stdin=b"y" * 300000 + b"\n\xff\x00\n")
        for i in range(1, 20):
            self.out("add", "s", "--id", "%d-%d" % (i, i), "f", str(i), "g", "")
        self.out("group", "create", "s", "g")
        self.out("group", "read", "s", "g", "c", "--count", "5")
        self.out("group", "ack", "s", "g", "2-2")
        self.out("add", "empty", "--id", "7-7", "--maxlen", "1", "f", "v")
        self.out("-n", "3", "push", "elsewhere", "v")

    def test_what_is_exported_can_be_imported(self):
        self.fill()
        path = os.path.join(self.top, "dump")
        self.run_cli("export", path)
        other = os.path.join(self.top, "other")
        self.run_cli("import", path, directory=other)
        with open(path, "rb") as f:
            first = f.read()
        second = self.run_cli("export", directory=other).stdout
        self.assertEqual(by_key(first), by_key(second))
        self.assertEqual(len(by_key(first)), 5)
        self.assertIn("already", self.error("import", path, code=3, directory=other))

    def test_what_redis_does_not_know_is_exported_too(self):
        self.out("-n", "2", "queue", "set", "jobs", "max-entries=100", "on-full=drop-oldest",
                 "priorities=3", "priority-weights=1,2,4", "default-ttl=7d")
        self.out("-n", "2", "add", "--priority", "2", "--ttl", "0", "jobs", "k", "high")
        self.out("-n", "2", "add", "--ttl", "0", "jobs", "k", "low")
        self.out("-n", "2", "group", "create", "jobs", "g")
        self.out("-n", "2", "group", "options", "jobs", "g", "visibility=30s", "max-deliveries=5",
                 "dead-letter=dead", "dead-letter-remove=yes", "key-field=k", "exclusive=1m")
        self.out("queue", "set", "limited", "max-bytes=1M")
        self.out("bind", "src", "dst", "headers", "a", "1", "b", "2")
        self.out("bind", "src", "li", "list=v", "direct", "kind", "alarm")
        self.out("route", "src", "keep=no", "alternate=rest")
        self.out("schedule", "add", "hourly", "every 1h", "jobs", "k", "tick")
        self.out("schedule", "push", "daily", "0 3 * * *", "li", "value", "--offset=-02:00")
        self.out("schedule", "pause", "daily")
        self.out("add", "given", "f", "v", "--id", "7-0")
        self.out("group", "create", "given", "g")
        self.out("group", "options", "given", "g", "visibility=1h")
        self.out("group", "read", "given", "g", "c")
        self.out("group", "nack", "given", "g", "7-0", "--delay", "0")
        data = self.run_cli("export").stdout
        self.assertEqual(data.count(b"XNACK"), 1) # it is nobody's there, too
        other = os.path.join(self.top, "other")
        self.run_cli("import", directory=other, stdin=data)
        self.assertEqual(self.run_cli("export", directory=other).stdout, data)
        for show in (("bindings",), ("routes",), ("-n", "2", "group", "options", "jobs", "g")):
            self.assertEqual(self.out(*show, directory=other), self.out(*show))
        held = ("entries", "bytes", "oldest_ms", "oldest", "full", "dropped")
        for show in (("queue", "show", "--json"), ("-n", "2", "queue", "show", "--json")):
            first, second = ([{k: v for k, v in row.items() if k not in held}
                              for row in json.loads(self.out(*show, directory=where))]
                             for where in (self.dir, other))
            self.assertEqual(first, second)
        rows = json.loads(self.out("-n", "2", "queue", "priorities", "jobs", "--json",
                                   directory=other))
        self.assertEqual([row["entries"] for row in rows], [1, 0, 1])
        plain = self.run_cli("export", "--redis").stdout
        self.assertNotIn(b"OXBOW", plain)
        self.assertIn(b"oxbow-export 3 redis", plain)
        third = os.path.join(self.top, "third")
        self.run_cli("import", directory=third, stdin=plain)
        self.assertEqual(plain.count(b"XADD"), 3)
        for bad in (data.replace(b"max-entries", b"max-entriez", 1),
                    data.replace(b"OXBOW.GROUP", b"OXBOW.GRAUP", 1)):
            self.error("import", code=3, directory=os.path.join(self.top, "bad"), stdin=bad)

    def test_a_stream_that_ends_with_the_last_possible_id_is_exported_once(self):
        last = "18446744073709551615-18446744073709551615"
        self.out("add", "s", "--id", "1-1", "f", "v")
        self.out("add", "s", "--id", last, "f", "w")
        self.out("group", "create", "s", "g")
        self.out("group", "read", "s", "g", "c")
        data = self.run_cli("export").stdout
        other = os.path.join(self.top, "other")
        self.run_cli("import", directory=other, stdin=data)
        rows = json.loads(self.out("read", "s", "--json", directory=other))
        self.assertEqual([row["id"] for row in rows], ["1-1", last])
        self.assertEqual(by_key(self.run_cli("export", directory=other).stdout), by_key(data))

    def test_a_damaged_export_leaves_nothing_behind(self):
        self.fill()
        data = self.run_cli("export").stdout
        other = os.path.join(self.top, "other")
        flipped = bytearray(data)
        flipped[data.index(b"$1\r\nf") + 4] ^= 1
        for bad in (data[:-1], data[:len(data) // 2], data[40:], bytes(flipped), b"",
                    b"PING\r\n", data.replace(b"XADD", b"XBAD", 1)):
            self.error("import", code=3, directory=other, stdin=bad)
            self.assertEqual([n for n in os.listdir(self.top) if n.startswith("other")], [])
        self.run_cli("import", directory=other, stdin=data)

    def test_an_export_does_not_overwrite_a_file(self):
        self.out("push", "k", "v")
        path = os.path.join(self.top, "dump")
        with open(path, "w") as f:
            f.write("mine")
        self.error("export", path, code=3)
        with open(path) as f:
            self.assertEqual(f.read(), "mine")

    def test_a_real_redis_takes_an_export(self):
        server = shutil.which("redis-server")
        if server is None:
            self.skipTest("no redis-server on this machine")
        self.fill()
        data = self.run_cli("export").stdout
        socket = os.path.join(self.top, "redis.sock")
        redis = subprocess.Popen([server, "--port", "0", "--unixsocket", socket, "--save", "",
                                  "--dir", self.top], stdout=subprocess.DEVNULL)
        try:
            cli = ["redis-cli", "-s", socket]
            self.until(lambda: subprocess.run(cli + ["ping"], capture_output=True).stdout
                       == b"PONG\n")
            done = subprocess.run(cli + ["--pipe"], input=data, capture_output=True)
            self.assertIn(b"errors: 0", done.stdout)
            self.assertEqual(subprocess.run(cli + ["llen", "list"], capture_output=True).stdout,
                             b"500\n")
            self.assertEqual(subprocess.run(cli + ["xlen", "s"], capture_output=True).stdout,
                             b"19\n")
            pending = subprocess.run(cli + ["xpending", "s", "g"], capture_output=True).stdout
            self.assertEqual(pending.split(b"\n")[0], b"4")
        finally:
            redis.terminate()
            redis.wait(PATIENCE)


if __name__ == "__main__":
    PROGRAM = sys.argv[1]
    unittest.main(argv=sys.argv[:1] + sys.argv[2:])
