# SPDX-License-Identifier: Apache-2.0
"""
A device: lives of the example firmware on one store, each ended by a kill, a power cut, or itself.

This process is the one that writes down what was accepted: each line that the firmware sends over
a pipe after its commit has returned goes to a file and into `accepted`, whatever happens to the
firmware afterwards.
"""
import asyncio
import ctypes
import json
import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

PR_SET_PDEATHSIG = 1
CUT_SIGNAL = signal.SIGRTMIN + 10
SUMMED = ("lost_replies", "refused_full", "rewinds", "gaps", "connects", "device_bytes")
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """For a child before it starts: the rig leaves nothing behind, even when it is killed. The
    parent is the thread that starts it: one that ends soon takes its child along."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@dataclass
class Totals:
    """Sums over lives; what a life did after its last status line is not in them."""
    lives: int = 0
    lost_replies: int = 0
    refused_full: int = 0
    rewinds: int = 0
    gaps: int = 0
    connects: int = 0
    # At the store's file calls. The kernel's count of a process (/proc/PID/io) is of no use: where
    # the page cache keeps large folios, a write of 120 bytes counts as the whole folio.
    device_bytes: int = 0
    peak_resident: int = 0
    peak_anonymous: int = 0


@dataclass
class Accepted:
    """What was acknowledged: id -> (checksum, row), in the order of arrival."""
    by_id: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    rows: set[int] = field(default_factory=set)
    max_row: int = 0
    twice: int = 0  # an id or a row that was acknowledged before


@dataclass(frozen=True)
class Power:
    """How the power fails."""
    seed: int
    mode: str = "drop"
    at_event: int = 0  # at the n-th write or sync of the life; 0: when told
    lie: bool = False  # syncs do nothing


class Device:
    def __init__(self, program: Path, folder: Path, options: list[str], producers: int) -> None:
        self.program = program
        self.folder = folder
        self.options = options
        self.producers = producers
        self.store = folder / "store"
        self.accepted = Accepted()
        self.totals = Totals()
        self.status: dict[str, object] = {}
        self.process: asyncio.subprocess.Process | None = None
        self.readers: list[asyncio.Task[None]] = []
        self.environment: dict[str, str] = {}
        folder.mkdir(parents=True)
        self.report = folder / "cut.txt"  # of the shim, about the present life
        self.log = (folder / "sensor.log").open("ab")
        self.written = (folder / "accepted.txt").open("wb", buffering=0)

    async def start(self, *extra: str) -> None:
        """A new life, which goes on with the first row that cannot have been taken before."""
        ack_read, ack_write = os.pipe()
        status_read, status_write = os.pipe()
        arguments = ["--store", str(self.store), "--producers", str(self.producers), "--from",
                     str(self.next_row()), "--ack-fd", str(ack_write), "--status-fd",
                     str(status_write), *self.options, *extra]
        self.report.unlink(missing_ok=True)
        self.log.write(f"--- {time.strftime('%T')} {' '.join(extra)}\n".encode())
        self.log.flush()
        self.process = await asyncio.create_subprocess_exec(
            str(self.program), *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=self.log,
            stderr=self.log, pass_fds=(ack_write, status_write), preexec_fn=die_with_parent,
            env={**os.environ, **self.environment})
        os.close(ack_write)
        os.close(status_write)
        self.totals.lives += 1
        self.status = {}
        self.readers = [asyncio.create_task(self._read(ack_read, self._acknowledged)),
                        asyncio.create_task(self._read(status_read, self._reported))]

    def next_row(self) -> int:
        """Each producer holds one row at most, so no row beyond this one was taken: a reading that
        was under way when the power went is gone, as it is with a real sensor."""
        if self.totals.lives == 0:
            return 1
        return self.accepted.max_row + self.producers + 1

    async def _read(self, fd: int, line_seen) -> None:  # type: ignore[no-untyped-def]
        reader = asyncio.StreamReader(limit=1 << 20)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(fd, "rb", 0))
        try:
            while line := await reader.readline():
                if line.endswith(b"\n"):
                    line_seen(line)
        finally:
            transport.close()

    def _acknowledged(self, line: bytes) -> None:
        entry, checksum, row_text = line.split()
        row = int(row_text)
        self.written.write(line)
        seen = self.accepted
        if entry in seen.by_id or row in seen.rows:
            seen.twice += 1
        seen.by_id[entry] = (int(checksum, 16), row)
        seen.rows.add(row)
        seen.max_row = max(seen.max_row, row)

    def _reported(self, line: bytes) -> None:
        self.status = json.loads(line)
        self._look_from_outside()

    def _look_from_outside(self) -> None:
        """Memory, as the kernel sees it."""
        if self.process is None or self.process.returncode is not None:
            return
        proc = Path("/proc") / str(self.process.pid)
        try:
            status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
        except OSError:
            return
        if "VmHWM" not in status:
            return
        self.totals.peak_resident = max(self.totals.peak_resident, _kib(status["VmHWM"]))
        self.totals.peak_anonymous = max(self.totals.peak_anonymous, _kib(status["RssAnon"]))

    async def end(self, signum: int | None = None) -> int:
        """Sends the signal, if any, waits for the death, and reads what is left in the pipes."""
        if self.process is None:
            raise RuntimeError("the device is not running")
        if signum is not None:
            self._look_from_outside()
            self.process.send_signal(signum)
        code = await self.process.wait()
        await asyncio.gather(*self.readers)
        for name in SUMMED:
            setattr(self.totals, name,
                    getattr(self.totals, name) + int(str(self.status.get(name, 0))))
        self.process = None
        return code

    def under_power(self, shim: Path, power: "Power") -> None:
        """From the next life on the shim stands below the store: see cut_power."""
        self.environment = {
            "LD_PRELOAD": str(shim), "POWERCUT_DIR": str(self.store),
            "POWERCUT_SIGNAL": str(CUT_SIGNAL), "POWERCUT_REPORT": str(self.report),
            "POWERCUT_MODE": power.mode, "POWERCUT_SEED": str(power.seed),
            "POWERCUT_LIE": "all" if power.lie else "",
            "POWERCUT_AT": str(power.at_event) if power.at_event else "",
        }

    async def cut_power(self, now: bool = True) -> dict[str, str]:
        """Every write that was not synced is dropped, then the process is killed. The report.
        Without `now` it comes at the chosen event."""
        code = await asyncio.wait_for(self.end(CUT_SIGNAL if now else None), 60)
        lines = self.report.read_text().splitlines() if self.report.exists() else []
        if code != -signal.SIGKILL or len(lines) != 1:
            raise RuntimeError(f"the power cut did not work: exit {code}, see {self.folder}")
        return dict(pair.split("=", 1) for pair in lines[-1].split() if "=" in pair)

    def close(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
        for reader in self.readers:  # else they write what still comes to a closed file
            reader.cancel()
        self.log.close()
        self.written.close()


def _kib(text: str) -> int:
    return int(text.split()[0]) * 1024
