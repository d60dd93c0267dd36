#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""oxbowd and redis-server side by side, by turns, under the same policy, with redis-benchmark.

    gateway.py DIR --server OXBOWD --read-ack PROGRAM [--rounds N] [--seconds S] [--only REGEX]
               [--memory N] [--json FILE] [--quick] [--option NAME=VALUE]... [--sync-delay MS]

Both keep their data below DIR, which is to be on the device that is asked about. Each case runs on
one server, then on the other, ROUNDS times, and the median is told: requests a second, their ratio to
Redis', and the median and 99.9th percentile of the time from a request to its reply. A case takes
about SECONDS on each. XREADGROUP counts entries, each read and acknowledged. --memory N tells what
both take in memory with N messages in a list, and how soon they answer again, instead. With
--sync-delay each sync of both takes MS milliseconds at least, as on an SD card (slowsync.so, from
the build tree, beside the server or --slowsync FILE).
"""
import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from rig import resp  # noqa: E402
from rig.device import die_with_parent  # noqa: E402
from rig.ports import free_port  # noqa: E402

POLICIES = ("always", "everysec", "no")
BYTES = 100
KEYS = 100000
ANY = "__rand_int__"
# What is asked, with {key} for one key or many.
COMMANDS = {
    "LPUSH": ("LPUSH", "list{key}", "{data}"),
    "RPUSH": ("RPUSH", "list{key}", "{data}"),
    "LPOP": ("LPOP", "list{key}"),
    "XADD": ("XADD", "stream{key}", "*", "field", "{data}"),
    "SET": ("SET", "key{key}", "{data}"),
    "GET": ("GET", "key{key}"),
    "INCR": ("INCR", "counter{key}"),
    "XREADGROUP": None,
}
# What has to be there before.
BEFORE = {"LPOP": "LPUSH", "GET": "SET"}


class Server:
    """One of the two, on a port and a socket of its own."""

    def __init__(self, name, program, top, policy, options, environment):
        self.name = name
        self.port = free_port()
        # A socket's path is short, the folder's need not be.
        self.sockets = tempfile.mkdtemp(prefix="oxbow-bench-")
        self.socket = os.path.join(self.sockets, "s")
        folder = os.path.join(top, name)
        os.makedirs(folder)
        common = ["--port", str(self.port), "--unixsocket", self.socket, "--bind", "127.0.0.1",
                  "--dir", folder, "--appendfsync", policy]
        own = (["--quota", "16gb"] + ["--" + o for o in options] if name == "oxbowd"
               else ["--appendonly", "yes", "--save", ""])
        self.log = open(os.path.join(top, name + ".log"), "wb")
        self.command = [program, *common, *own]
        self.environment = environment
        self.start(30)

    def start(self, patience):
        """Seconds until it answers for what it holds."""
        began = time.monotonic()
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=self.log, env=self.environment,
                                        preexec_fn=die_with_parent)
        while True:
            try:
                client = resp.unix(self.socket)
                info = client.do("INFO", "server").decode()
                client.do("LLEN", "list")  # refused while it is loading
                client.close()
                break
            except (OSError, ConnectionError, resp.Refused):
                if self.process.poll() is not None or time.monotonic() > began + patience:
                    sys.exit(f"{self.name} did not start, see {self.log.name}")
                time.sleep(0.002)
        took = time.monotonic() - began
        if f"process_id:{self.process.pid}\r\n" not in info:
            sys.exit(f"another server than {self.name} answers")
        return took

    def do(self, *words):
        client = resp.unix(self.socket)
        try:
            return client.do(*words)
        finally:
            client.close()

    def anonymous_kb(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return int(re.search(r"RssAnon:\s+(\d+)", status.read())[1])

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(120)
        except subprocess.TimeoutExpired:
            sys.exit(f"{self.name} does not end")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.end()
        self.log.close()
        shutil.rmtree(self.sockets)


def output(*command):
    done = subprocess.run(command, capture_output=True, timeout=3600)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)[:200]}: exit {done.returncode}: "
                 f"{(done.stdout + done.stderr).decode(errors='replace')[-500:]}")
    return done.stdout.decode()


class Bench:
    def __init__(self, options):
        self.options = options
        self.rows = []
        self.environment = dict(os.environ)
        if options.sync_delay:
            self.environment.update(LD_PRELOAD=options.slowsync,
                                    SLOWSYNC_US=str(int(options.sync_delay * 1000)))

    def place(self, server, transport):
        return ["-s", server.socket] if transport == "unix" else ["-p", str(server.port)]

    def ask(self, server, transport, clients, pipeline, many, command, count):
        """One run of redis-benchmark: requests a second, p50 and p99.9 in microseconds."""
        words = [w.format(key=":" + ANY if many else "", data="x" * BYTES)
                 for w in COMMANDS[command]]
        said = output("redis-benchmark", *self.place(server, transport), "-n", str(count),
                      "-c", str(clients), "-P", str(pipeline), "--precision", "3",
                      *(("-r", str(KEYS)) if many else ()), *words)
        rate = re.search(r"throughput summary: ([\d.]+) requests per second", said)
        if rate is None:
            sys.exit(f"redis-benchmark tells no rate of {count} times {command}: {said[-300:]}")
        steps = [(float(p), float(ms)) for p, ms in
                 re.findall(r"^([\d.]+)% <= ([\d.]+) milliseconds", said, re.M)]
        return float(rate[1]), *(next(ms for p, ms in steps if p >= wanted) * 1e3 for wanted in (50, 99.9))

    def read_and_ack(self, server, transport, clients, pipeline, many, count):
        del many  # a group has one stream
        server.do("FLUSHALL")
        self.ask(server, "unix", 50, 64, False, "XADD", count)
        count = server.do("XLEN", "stream")  # whole pipelines
        server.do("XGROUP", "CREATE", "stream", "group", "0")
        done, seconds, p50, p999 = map(float, output(
            self.options.read_ack, server.socket if transport == "unix" else str(server.port),
            "stream", "group", str(clients), str(pipeline)).split())
        if done != count:
            sys.exit(f"{server.name}: {done} of {count} entries were read and acknowledged")
        if server.do("XPENDING", "stream", "group")[0] != 0:
            sys.exit(f"{server.name}: entries are still pending")
        return done / seconds, p50, p999

    def run(self, server, transport, clients, pipeline, many, command, count):
        if command == "XREADGROUP":
            return self.read_and_ack(server, transport, clients, pipeline, many, count)
        server.do("FLUSHALL")
        if command in BEFORE:
            self.ask(server, "unix", 50, 64, many, BEFORE[command], count)
        return self.ask(server, transport, clients, pipeline, many, command, count)

    def case(self, servers, policy, *case):
        transport, clients, pipeline, many, command = case
        name = (f"{policy} {transport} {command} c{clients} P{pipeline} "
                f"{'many keys' if many else 'one key'}")
        if not re.search(self.options.only, name):
            return
        found = {server.name: [] for server in servers}
        few = max(20 if self.options.sync_delay else 2000, 20 * clients * pipeline)
        count = {}
        for server in servers:  # so many as take the time that was asked for
            rate = self.run(server, *case, few)[0]
            count[server.name] = max(few, int(rate * self.options.seconds))
        for _ in range(self.options.rounds):
            for server in servers:
                found[server.name].append(self.run(server, *case, count[server.name]))
        row = {"case": name}
        for who, runs in found.items():
            row[who] = [statistics.median(r[i] for r in runs) for i in range(3)]
            row[who + " spread"] = (max(r[0] for r in runs) - min(r[0] for r in runs)) / row[who][0]
        row["ratio"] = row["oxbowd"][0] / row["redis"][0]
        self.rows.append(row)
        print(f"{name:<46}" + "".join(
            f"{row[who][0]:>10,.0f} {row[who][1]:>8,.0f} {row[who][2]:>9,.0f}"
            for who in ("oxbowd", "redis")) + f"{row['ratio']:>8.2f}", flush=True)

    def started(self, policy, body):
        top = tempfile.mkdtemp(prefix="gateway-", dir=self.options.dir)
        servers = []
        try:
            for name, program in (("oxbowd", self.options.server), ("redis", "redis-server")):
                servers.append(Server(name, program, top, policy, self.options.option,
                                      self.environment))
            body(servers)
        finally:
            for server in servers:
                server.stop()
        shutil.rmtree(top)  # what failed has left its log

    def policy(self, policy):
        def body(servers):
            for transport in ("unix", "tcp"):
                for clients in (1, 50):
                    for pipeline in (1, 16):
                        for many in (False, True):
                            for command in COMMANDS:
                                if not (many and command == "XREADGROUP"):
                                    self.case(servers, policy, transport, clients, pipeline, many,
                                              command)
        self.started(policy, body)

    def memory(self, count):
        def body(servers):
            for server in servers:
                empty = server.anonymous_kb()
                rate = self.ask(server, "unix", 50, 64, False, "RPUSH", count)[0]
                if server.do("LLEN", "list") != count:
                    sys.exit(f"{server.name}: not {count} messages in the list")
                full = server.anonymous_kb()
                server.kill()  # what was answered is with the system, if not on the device
                killed = server.start(600)
                server.end()
                restart = server.start(600)
                if server.do("LLEN", "list") != count:
                    sys.exit(f"{server.name}: not {count} messages after a kill")
                self.rows.append({"case": f"memory, {count} messages", "who": server.name,
                                  "empty kB": empty, "full kB": full, "rate": rate,
                                  "restart s": restart, "after kill s": killed})
                print(f"{count:,} messages of {BYTES} bytes in {server.name}: {full:,} kB "
                      f"anonymous memory, {empty:,} kB before; {rate:,.0f} a second; answers "
                      f"{restart:.3f} s after its start, {killed:.3f} s after a kill")
        self.started("everysec", body)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", metavar="DIR")
    parser.add_argument("--server", required=True, metavar="OXBOWD")
    parser.add_argument("--read-ack", required=True, metavar="PROGRAM")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--only", default="", metavar="REGEX", help="cases, by the name printed")
    parser.add_argument("--memory", type=int, metavar="N")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE",
                        help="of oxbowd")
    parser.add_argument("--sync-delay", type=float, default=0, metavar="MS")
    parser.add_argument("--slowsync", metavar="FILE")
    parser.add_argument("--quick", action="store_true", help="one round, a twentieth of a second")
    options = parser.parse_args()
    if (options.rounds < 1 or options.seconds <= 0 or (options.memory or 1) < 1 or
            options.sync_delay < 0):
        parser.error("nothing would be measured")
    if not os.path.isdir(options.dir):
        parser.error(f"no directory {options.dir}")
    for program in (options.server, options.read_ack, "redis-server", "redis-benchmark"):
        if shutil.which(program) is None:
            parser.error(f"no program {program}")
    options.slowsync = os.path.abspath(options.slowsync or os.path.join(
        os.path.dirname(shutil.which(options.server)), "..", "lib", "slowsync.so"))
    if options.sync_delay and not os.path.isfile(options.slowsync):
        parser.error(f"no library {options.slowsync}")  # the loader would only warn
    if options.quick:
        options.rounds, options.seconds = 1, 0.05
    bench = Bench(options)
    if options.memory:
        bench.memory(options.memory)
    else:
        print(f"{'':<46}{'oxbowd/s':>10} {'p50 us':>8} {'p99.9 us':>9}"
              f"{'redis/s':>10} {'p50 us':>8} {'p99.9 us':>9}{'ratio':>8}")
        for policy in POLICIES:
            if any(re.search(options.only, f"{policy} {transport} {command} c{c} P{p} {keys}")
                   for transport in ("unix", "tcp") for command in COMMANDS for c in (1, 50)
                   for p in (1, 16) for keys in ("one key", "many keys")):
                bench.policy(policy)
    if not bench.rows:
        parser.error(f"no case is named {options.only!r}")
    if options.json:
        with open(options.json, "w", encoding="ascii") as file:
            json.dump(bench.rows, file, indent=1)


if __name__ == "__main__":
    main()
