#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
The main job, end to end: the example firmware writes readings under `always`, loses its power, is
killed, loses its link and its server, and the central Redis ends up with every accepted reading
once, in order. Real programs throughout: redis-server with TLS, the firmware as it is shipped.

Two controls run under the same faults, since a test that nobody can fail proves nothing: what
people write by hand (rig/naive.py), and the same firmware on a device that lies about syncs.
Exit status 0: everything that the last lines say held.
"""
import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path

from rig import certs, report, server, verdict
from rig.chaos import Chaos
from rig.device import Device, Power, die_with_parent
from rig.server import Server

DEVICE = "gateway-1"
LIAR = "gateway-2"
STREAM = "readings"
# Writes while the first life fills the journal's ring with zeros: a cut there meets no commit.
RING_EVENTS = 350
CUT_MODES = ("drop", "pages", "sectors")
DRAIN_S = 60
PATIENCE_S = 20  # with faults that have not struck yet


@dataclass(frozen=True)
class Plan:
    """How much of everything."""
    readings: int
    rate: int
    producers: int
    cuts: int
    kills: int
    server_kills: int
    oom_windows: int
    rewinds: int
    liar_readings: int
    liar_cuts: int
    naive_rate: int
    fault_pace_s: tuple[float, float]  # a connection's time before its fault

    @property
    def cut_events(self) -> int:
        """A cut that comes at an event comes within so many: about half a life's."""
        return max(self.readings // (self.cuts + self.kills + 1) * 6 // 10, 60)


def plan(args: argparse.Namespace) -> Plan:
    if args.small:
        return Plan(readings=args.readings or 5000, rate=500, producers=4, cuts=1, kills=2,
                    server_kills=1, oom_windows=1, rewinds=1, liar_readings=1500, liar_cuts=1,
                    naive_rate=400, fault_pace_s=(0.1, 0.5))
    return Plan(readings=args.readings or 100_000, rate=2500, producers=16, cuts=4, kills=6,
                server_kills=2, oom_windows=3, rewinds=1, liar_readings=20_000, liar_cuts=2,
                naive_rate=800, fault_pace_s=(0.1, 0.8))


@dataclass
class Told:
    """What was done to whom, for the report."""
    cuts: list[dict[str, str]] = field(default_factory=list)
    kills: int = 0
    kills_in_batch: int = 0
    oom_windows: int = 0
    rewound: int = 0  # entries that the server had acknowledged and lost
    lived_in_1970: int = 0


class MainJob:
    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.plan = plan(args)
        self.rng = random.Random(args.seed)
        self.work = Path(args.work).resolve()
        self.told = Told()
        self.started = time.monotonic()
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)
        self.csv = self.work / "readings.csv"
        p = self.plan
        self.rows = p.readings + (p.cuts + p.kills + 2) * 2 * p.producers + 2 * PATIENCE_S * p.rate
        verdict.write_readings(self.csv, self.rows)
        self.certs = certs.make(self.work / "certs", DEVICE)
        self.server = Server(self.work / "redis", self.certs, [DEVICE, LIAR])
        self.secret = self.work / "password"
        self.secret.touch(mode=0o600)
        self.secret.write_text(self.server.password + "\n", encoding="ascii")
        self.chaos = Chaos(self.server.port, self.rng.getrandbits(32),
                           self.plan.fault_pace_s)
        self.device = self.make_device(DEVICE)
        self.naive: subprocess.Popen[bytes] | None = None

    def make_device(self, name: str) -> Device:
        options = ["--replay", str(self.csv), "--rate", str(self.plan.rate), "--stream", STREAM]
        return Device(Path(self.args.sensor), self.work / name, options, self.plan.producers)

    def link_options(self, name: str, port: int) -> list[str]:
        return ["--target", f"127.0.0.1:{port}", "--server-name", certs.SERVER_NAME, "--device",
                name, "--user", name, "--password-file", str(self.secret), "--ca",
                str(self.certs.ca), "--cert", str(self.certs.device_cert), "--key",
                str(self.certs.device_key), "--timeout-ms", "1500"]

    def say(self, text: str) -> None:
        if not self.args.quiet:
            print(f"  {time.monotonic() - self.started:5.1f} s  {text}", flush=True)

    # ---- the device's fate ----

    def life_options(self, life: int) -> list[str]:
        """The first lives are spent in 1970; in the last of them the clock is set under way."""
        offset = ["--clock-offset-s", str(-int(time.time()) + 60)]
        if life == 0 or (life == 1 and self.plan.kills + self.plan.cuts > 3):
            self.told.lived_in_1970 += 1
            return offset
        if life <= 2:
            self.told.lived_in_1970 += 1
            return [*offset, "--clock-set-after-s", "0.7"]
        return []

    async def until_accepted(self, count: int) -> None:
        device = self.device
        while len(device.accepted.by_id) < count:
            if device.process is None or device.process.returncode is not None:
                raise RuntimeError(f"the firmware ended by itself, see {device.folder}/sensor.log")
            await asyncio.sleep(0.002)

    async def disturb_device(self, port: int) -> None:
        """The lives of the main device, all but the last ended from outside."""
        blows = ["cut"] * self.plan.cuts + ["kill"] * self.plan.kills
        self.rng.shuffle(blows)
        link = self.link_options(DEVICE, port)
        for k, blow in enumerate(blows):
            # Every other cut comes at a chosen write or sync: in the middle of a commit for sure.
            at_event = 0
            if blow == "cut" and len(self.told.cuts) % 2 == 0:
                at_event = RING_EVENTS + self.rng.randrange(50, self.plan.cut_events)
            mode = CUT_MODES[len(self.told.cuts) % len(CUT_MODES)]
            self.device.under_power(Path(self.args.powercut),
                                    Power(self.rng.getrandbits(32), mode, at_event))
            await self.device.start(*link, *self.life_options(k))
            share = (k + self.rng.uniform(0.6, 1.0)) / (len(blows) + 1)
            if not at_event:
                await self.until_accepted(max(int(self.plan.readings * share),
                                              len(self.device.accepted.by_id) + 1))
            if blow == "cut":
                self.told.cuts.append(await self.device.cut_power(not at_event))
                self.say(f"power cut at {len(self.device.accepted.by_id):,} accepted readings")
            else:
                self.told.kills_in_batch += await self.chaos.batch_sent(DEVICE, 5)
                await self.device.end(signal.SIGKILL)
                self.told.kills += 1
                self.say(f"kill -9 at {len(self.device.accepted.by_id):,}")
        self.device.environment = {}
        await self.device.start(*link, *self.life_options(len(blows)))
        await self.until_accepted(max(self.plan.readings, len(self.device.accepted.by_id) + 1))

    async def until_all_has_happened(self) -> None:
        """The last life goes on until each kind of fault has struck, but not for ever."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end and not self.chaos.complete(DEVICE):
            await self.until_accepted(len(self.device.accepted.by_id) + 1)

    async def drain(self, port: int) -> int:
        """A clean stop, then a life that takes no readings and waits for the target."""
        if await self.device.end(signal.SIGTERM) != 0:
            raise RuntimeError(f"the firmware did not stop cleanly, see {self.device.folder}")
        self.chaos.on = False
        self.say("all readings are accepted; the link is quiet now, the rest goes to the target")
        await self.device.start(*self.link_options(DEVICE, port), "--from", str(self.rows + 1),
                                "--drain-s", str(DRAIN_S))
        return await asyncio.wait_for(self.device.end(), DRAIN_S + 30)

    # ---- the server's fate ----

    async def disturb_server(self) -> None:
        """Kills, refusals for lack of memory and a restart from an older copy, one by one."""
        deeds = ["kill"] * self.plan.server_kills + ["oom"] * self.plan.oom_windows + \
            ["rewind"] * self.plan.rewinds
        self.rng.shuffle(deeds)
        for k, deed in enumerate(deeds):
            share = (k + self.rng.uniform(0.5, 1.0)) / (len(deeds) + 1)
            while len(self.device.accepted.by_id) < self.plan.readings * share:
                await asyncio.sleep(0.01)
            if deed == "kill":
                await asyncio.to_thread(self.server.kill)
                await asyncio.sleep(self.rng.uniform(0.1, 0.6))
                await asyncio.to_thread(self.server.start)
                self.say("server killed with -9 and restarted on its append-only file")
            elif deed == "oom":
                await self.refuse_for_memory()
            else:
                await self.rewind()

    async def refuse_for_memory(self) -> None:
        """Until a batch of the device was refused; its link may be down just now."""
        before = self.refused()
        await asyncio.to_thread(self.server.memory_limit, 1)
        end = time.monotonic() + PATIENCE_S
        while self.refused() == before and time.monotonic() < end:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(self.server.memory_limit, 0)
        self.told.oom_windows += 1
        self.say("server out of memory for a moment")

    def refused(self) -> int:
        return self.device.totals.refused_full + int(str(self.device.status.get("refused_full", 0)))

    async def rewind(self) -> None:
        """A copy is taken, the server goes on until it has more, and comes back with the copy."""
        key = self.key(DEVICE)
        await asyncio.to_thread(self.server.snapshot)
        copied = grown = await asyncio.to_thread(self.server.length, key)
        end = time.monotonic() + PATIENCE_S
        while grown == copied and time.monotonic() < end:
            await asyncio.sleep(self.rng.uniform(0.1, 0.5))
            grown = await asyncio.to_thread(self.server.length, key)
        await asyncio.to_thread(self.server.rewind)
        self.told.rewound += grown - copied
        self.say(f"server restarted from an older copy: {grown - copied:,} entries gone")

    @staticmethod
    def key(device: str) -> str:
        return f"oxbow:{{{device}}}:{STREAM}"

    # ---- the controls ----

    def start_naive(self, port: int) -> None:
        self.naive = subprocess.Popen(
            [sys.executable, "-m", "rig.naive", "--port", str(port), "--rate",
             str(self.plan.naive_rate), "--stream", "naive:readings", "--password-file",
             str(self.secret), "--ca", str(self.certs.ca), "--cert", str(self.certs.device_cert),
             "--key", str(self.certs.device_key)], cwd=Path(__file__).parent,
            stdout=subprocess.PIPE, preexec_fn=die_with_parent)

    async def end_naive(self) -> verdict.NaiveVerdict:
        assert self.naive is not None
        self.naive.terminate()
        out, _ = await asyncio.to_thread(self.naive.communicate)
        said = json.loads(out)
        entries = await asyncio.to_thread(self.server.entries, "naive:readings")
        return verdict.judge_naive(said["sent"], said["answered"], entries)

    async def liar(self, port: int, sums: list[int]) -> verdict.Verdict:
        """The same firmware, but the device's syncs do nothing. Its link is up only at the end, so
        that what a cut took is not at the target already."""
        device = self.make_device(LIAR)
        goal = self.plan.liar_readings
        self.device, main = device, self.device
        try:
            for k in range(self.plan.liar_cuts):
                device.under_power(Path(self.args.powercut),
                                   Power(self.rng.getrandbits(32), lie=True))
                await device.start()
                await self.until_accepted(goal * (k + 1) // (self.plan.liar_cuts + 1))
                await device.cut_power()
            device.environment = {}
            left = str(goal - len(device.accepted.by_id))
            await device.start(*self.link_options(LIAR, port), "--count", left, "--drain-s", "20")
            await device.end()
        finally:
            self.device = main
            device.close()
        entries = await asyncio.to_thread(self.server.entries, self.key(LIAR))
        return verdict.judge(device.accepted, entries, sums)

    # ---- the whole ----

    async def run(self) -> bool:
        device_port = await self.chaos.listen(DEVICE)
        naive_port = await self.chaos.listen("naive")
        await asyncio.to_thread(self.server.start)
        self.start_naive(naive_port)
        await together(self.disturb_server(), self.disturb_device(device_port))
        await self.until_all_has_happened()
        code = await self.drain(device_port)
        naive = await self.end_naive()
        sums = verdict.load_readings(self.csv)
        entries = await asyncio.to_thread(self.server.entries, self.key(DEVICE))
        if not entries:
            raise RuntimeError("nothing is at the target")
        main = verdict.judge(self.device.accepted, entries, sums)
        self.say("now the same with sync switched off")
        liar = await self.liar(device_port, sums)
        outcome = report.Outcome(
            seed=self.args.seed, readings=self.plan.readings, producers=self.plan.producers,
            exit_code=code, main=main, naive=naive, liar=liar, told=self.told,
            totals=self.device.totals, chaos=self.chaos, server=self.server, device=DEVICE,
            key=self.key(DEVICE), keep=self.args.keep, seconds=time.monotonic() - self.started,
            reading_bytes=sum(len(b"".join(fields)) for _, fields in entries) / len(entries))
        return report.show(outcome)

    def close(self, keep: bool) -> None:
        self.device.close()
        if self.naive is not None and self.naive.poll() is None:
            self.naive.kill()
        if keep:
            self.server.outlive()
        else:
            self.server.stop()


async def together(*jobs: Coroutine[None, None, None]) -> None:
    """Runs them side by side; when one fails or is stopped, so are the others."""
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="oxbow's main job, under faults")
    parser.add_argument("--sensor", required=True, help="the firmware's program")
    parser.add_argument("--powercut", required=True, help="the power-cut shim, a shared object")
    parser.add_argument("--work", required=True, help="folder for everything; emptied first")
    parser.add_argument("--seed", type=int, default=None, help="of all chances; default: a new one")
    parser.add_argument("--readings", type=int, default=0)
    parser.add_argument("--small", action="store_true", help="a few seconds' worth, for a test")
    parser.add_argument("--keep", action="store_true", help="leave the server running")
    parser.add_argument("--quiet", action="store_true", help="only the last lines")
    args = parser.parse_args()
    if args.seed is None:
        args.seed = int(os.environ.get("OXBOW_SEED") or random.SystemRandom().getrandbits(31))
    for path in (args.sensor, args.powercut):
        if not Path(path).exists():
            parser.error(f"{path} is not there")
    return args


async def main() -> int:
    args = arguments()
    server.skip_without_programs("mainjob")
    job = MainJob(args)
    done = False
    task = asyncio.current_task()
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, task.cancel)
    try:
        done = await job.run()
    except (RuntimeError, TimeoutError) as wrong:
        print(f"\nFAILED: {wrong} (seed {args.seed})")
    finally:
        await job.chaos.close()
        job.close(args.keep and done)
    return 0 if done else 1


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main()))
    except asyncio.CancelledError:
        print("stopped; nothing is left running", file=sys.stderr)
        sys.exit(130)
