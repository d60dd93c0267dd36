#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
The gateway's job, end to end: a Django site gives orders to Celery and a Node.js program adds jobs to
BullMQ, both through oxbowd as if it were Redis, which loses its power and is killed in mid-load, as
workers are. All that was acknowledged must be carried out and have its result in the end. The
frameworks are those of PyPI and npm, unchanged.

Controls run the same programs with power cuts of the same kind, since a test that nobody can fail
proves nothing: oxbowd and a real redis-server which sync every second and have acknowledged before.
Exit status 0: everything that the last lines say held. 77: a registry does not answer at all.
"""
import argparse
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from clients import run as environments
from rig import account, gateway
from rig.device import Power
from rig.gateway import Gateway, Maker

CUT_MODES = ("drop", "pages", "sectors")
# Writes while a first life fills the journal's ring with zeros: a cut there meets no commit.
RING_EVENTS = 350
PATIENCE_S = 90
RESULTS_S = 3  # without a new one, after all that could come has come
ALWAYS = ["--appendfsync", "always"]


@dataclass(frozen=True)
class Plan:
    """How much of everything; a blow is what happens to the server or to a worker."""
    jobs: int
    blows: tuple[str, ...]
    rates: dict[str, float]
    control_jobs: int
    control_cuts: int


def plan(args: argparse.Namespace) -> Plan:
    if args.small:
        return Plan(jobs=args.jobs or 900, blows=("cut", "celery", "kill", "idle-cut", "bullmq"),
                    rates={"celery": 40, "bullmq": 80}, control_jobs=100, control_cuts=1)
    return Plan(jobs=args.jobs or 6000, blows=("cut", "idle-cut", "kill", "celery", "bullmq") * 3,
                rates={"celery": 60, "bullmq": 120}, control_jobs=200, control_cuts=2)


class Job:
    """The programs on one server, in a folder of their own."""

    def __init__(self, args: argparse.Namespace, where: tuple[Path, Path], name: str, program: str,
                 options: list[str], rng: random.Random, p: Plan) -> None:
        folder = Path(args.work).resolve() / name
        self.rng = rng
        # redis-server does not start with an append-only file that has a hole.
        self.modes = CUT_MODES if name == "gateway" else ("drop",)
        self.server = Gateway(program, folder, options, Path(args.powercut).resolve())
        self.makers = gateway.makers(where[0], where[1], args.bullmq, self.server.port, folder,
                                     p.rates)
        self.told = account.Told()
        self.started = time.monotonic()
        self.at_event = 0

    def say(self, text: str) -> None:
        print(f"  {time.monotonic() - self.started:5.1f} s  {text}", flush=True)

    def accepted(self) -> int:
        return sum(len(maker.accepted()) for maker in self.makers)

    def until(self, what: str, reached: Callable[[], bool]) -> None:
        """Waits for a condition of this run, which the server must outlive."""
        end = time.monotonic() + PATIENCE_S
        while not reached():
            self.revive()
            if self.server.ended():
                raise RuntimeError(f"the server ended by itself, see {self.server.folder}")
            if time.monotonic() > end:
                raise RuntimeError(f"{what}: it did not come within {PATIENCE_S} s, see "
                                   f"{self.server.folder}")
            time.sleep(0.005)

    def revive(self) -> None:
        """As a supervisor does: a worker of Celery may end when its server does."""
        for maker in self.makers:
            self.told.revived += maker.revive()

    def until_accepted(self, more: dict[str, int]) -> None:
        """From now on, of each framework."""
        before = {maker.name: len(maker.accepted()) for maker in self.makers}
        self.until("jobs are accepted", lambda: all(
            len(maker.accepted()) - before[maker.name] >= more[maker.name]
            for maker in self.makers))

    def power_up(self, at_event: bool = False) -> None:
        """Its power can be cut in every life; at a chosen write or sync of it, or when told."""
        mode = self.modes[len(self.told.cuts) % len(self.modes)]
        self.at_event = 0
        if at_event:
            self.at_event = RING_EVENTS + self.rng.randrange(100, 400)
        self.server.start(Power(self.rng.getrandbits(32), mode, self.at_event))

    def start(self) -> None:
        # A first life makes the files: cuts are to meet a server at work.
        self.server.start()
        self.server.kill()
        self.power_up()
        for maker in self.makers:
            maker.start("worker")
            maker.start("producer")
        self.until_accepted({maker.name: 1 for maker in self.makers})
        self.until("both work", lambda: all(len(maker.executed()) > 0 for maker in self.makers))

    def cut(self) -> None:
        self.told.cuts.append(self.server.cut_power(now=self.at_event == 0))
        self.say(f"power cut at {self.accepted():,} acknowledged jobs")

    def count_kill(self, name: str) -> None:
        self.told.worker_kills += 1
        self.told.celery_kills += name == "celery"

    # ---- the blows ----

    def blow(self, kind: str) -> None:
        if kind == "cut":
            # Every other one strikes in the middle of a commit for sure.
            if len(self.told.cuts) % 2 == 0:
                self.server.kill()
                self.told.kills += 1
                self.power_up(at_event=True)
            self.cut()
            self.power_up()
        elif kind == "idle-cut":
            self.cut_before_workers()
        elif kind == "kill":
            self.server.kill()
            self.told.kills += 1
            self.say(f"kill -9 at {self.accepted():,}")
            self.power_up()
        else:
            maker = next(maker for maker in self.makers if maker.name == kind)
            maker.end("worker", signal.SIGKILL)
            self.count_kill(kind)
            self.say(f"{kind}'s worker killed with -9")
            maker.start("worker")

    def cut_before_workers(self) -> None:
        """The power goes while what was acknowledged waits for workers that are not there."""
        for maker in self.makers:
            if not maker.stop("worker"):
                self.count_kill(maker.name)
        before = self.waiting()
        self.until("jobs wait", lambda: self.waiting() >= before + 20)
        held = self.look()
        self.cut()
        self.told.idle_cuts += 1
        waiting = [maker.waiting() for maker in self.makers]
        self.power_up()
        # What was not there before the cut has been lost before, and is missing in the end.
        expected = [now - gone for now, (_, gone) in zip(waiting, held)]
        self.told.waiting += sum(map(len, expected))
        self.told.gone += sum(len(names - found) for names, (found, _)
                              in zip(expected, self.look()))
        for maker in self.makers:
            maker.start("worker")

    def look(self) -> list[tuple[set[str], set[str]]]:
        """Of each framework's waiting jobs those that the server has, and those that it has not,
        while no worker takes any. What a chord waits for has other names."""
        found = []
        for maker in self.makers:
            names = maker.waiting()
            held = self.server.holds_bullmq(names) if maker.name == "bullmq" else \
                self.server.holds_celery() | {name for name in names if name.startswith("chord")}
            found.append((held, names - held))
        return found

    def waiting(self) -> int:
        """What was acknowledged and not carried out yet."""
        return sum(len(maker.waiting()) for maker in self.makers)

    # ---- the whole ----

    def drain(self) -> None:
        """No more orders; waits until nothing is left to do."""
        for maker in self.makers:
            maker.end("producer", signal.SIGTERM)
        self.say(f"{self.accepted():,} jobs are acknowledged; no more come, nothing disturbs")
        self.until("all is carried out", self.server.idle)

    def settle(self) -> list[account.Account]:
        found = []
        for maker in self.makers:
            said = maker.results(RESULTS_S)
            if said["said"]:
                maker.log.write(f"without a result: {said['said']}\n".encode())
            found.append(account.settle(maker.name, maker.accepted(), maker.executed(),
                                        said["without"], said["unordered"], said["failed"]))
        for maker in self.makers:
            maker.stop("worker")
        return found

    def close(self) -> None:
        for maker in self.makers:
            maker.close()
        self.server.close()


def main_part(job: Job, p: Plan) -> list[account.Account]:
    share = p.jobs // (len(p.blows) + 1)
    total = sum(p.rates.values())
    job.start()
    for kind in p.blows:
        jitter = job.rng.uniform(0.6, 1.0)
        job.until_accepted({name: max(int(share * jitter * rate / total), 1)
                            for name, rate in p.rates.items()})
        job.blow(kind)
    job.until("the last jobs are accepted", lambda: job.accepted() >= p.jobs)
    job.drain()
    return job.settle()


def control_part(job: Job, p: Plan) -> list[account.Account]:
    """Power cuts of the same kind under the same programs, while jobs wait."""
    job.start()
    for _ in range(p.control_cuts):
        seen = job.accepted()
        job.until("jobs are accepted", lambda: job.accepted() >= seen + p.control_jobs)
        job.cut_before_workers()
    job.drain()
    return job.settle()


def controls(oxbowd: str) -> list[tuple[str, str, list[str]]]:
    return [("oxbowd-everysec", oxbowd, ["--appendfsync", "everysec"]),
            ("redis-everysec", "redis-server",
             ["--appendonly", "yes", "--appendfsync", "everysec", "--save", ""])]


def run(args: argparse.Namespace) -> bool:
    p = plan(args)
    work = Path(args.work).resolve()
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    where = (Path(environments.environment("python", args.cache)),
             Path(environments.environment("node", args.cache)))
    started = time.monotonic()
    rng = random.Random(args.seed)
    oxbowd = str(Path(args.server).resolve())
    lost = []
    job = Job(args, where, "gateway", oxbowd, ALWAYS, rng, p)
    try:
        main = main_part(job, p)
    finally:
        job.close()
    for name, program, options in controls(oxbowd):
        print(f"  now the same with {name.replace('-', ', appendfsync ')}", flush=True)
        control = Job(args, where, name, program, options, rng, p)
        try:
            lost.append(account.Control(name, control_part(control, p), len(control.told.cuts)))
        finally:
            control.close()
    return account.show(account.Outcome(
        seed=args.seed, jobs=p.jobs, told=job.told, makers=main, controls=lost,
        refused={maker.name: len(maker.refused()) for maker in job.makers}, folder=job.server.folder,
        seconds=time.monotonic() - started))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="the gateway's job, under faults")
    parser.add_argument("--server", required=True, help="oxbowd")
    parser.add_argument("--powercut", required=True, help="the power-cut shim, a shared object")
    parser.add_argument("--work", required=True, help="folder for everything; emptied first")
    parser.add_argument("--cache", required=True, help="folder of the clients' libraries")
    parser.add_argument("--bullmq", default="bullmq6", help="which of the installed versions")
    parser.add_argument("--seed", type=int, default=None, help="of all chances; default: a new one")
    parser.add_argument("--jobs", type=int, default=0)
    parser.add_argument("--small", action="store_true", help="a few seconds' worth, for a test")
    args = parser.parse_args()
    if args.seed is None:
        args.seed = int(os.environ.get("OXBOW_SEED") or random.SystemRandom().getrandbits(31))
    for path in (args.server, args.powercut):
        if not Path(path).exists():
            parser.error(f"{path} is not there")
    args.cache = os.path.abspath(args.cache)
    return args


def main() -> int:
    args = arguments()
    if shutil.which("redis-server") is None:
        print("gatewayjob: skipped: redis-server is not installed")
        return 77
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return 0 if run(args) else 1
    except environments.Silent as why:
        print(f"gatewayjob: skipped: {why}")
        return 77
    except RuntimeError as wrong:
        print(f"\nFAILED: {wrong} (seed {args.seed})")
        return 1
    except KeyboardInterrupt:
        print("stopped; nothing is left running", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
