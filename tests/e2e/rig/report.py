# SPDX-License-Identifier: Apache-2.0
"""The last lines: what was done, what came of it, and whether all of it held."""
import os
from dataclasses import dataclass
from typing import Any

from .chaos import Chaos
from .device import Totals
from .server import Server
from .verdict import NaiveVerdict, Verdict


@dataclass(frozen=True)
class Outcome:
    seed: int
    readings: int
    producers: int
    exit_code: int  # of the firmware's last life: 0 when the target confirmed everything
    main: Verdict
    naive: NaiveVerdict
    liar: Verdict
    told: Any
    totals: Totals
    chaos: Chaos
    server: Server
    device: str
    key: str
    keep: bool
    seconds: float
    reading_bytes: float  # names and values, on average


class Table:
    """Aligned lines, and what has not held."""

    def __init__(self) -> None:
        self.failed: list[str] = []

    @staticmethod
    def head(text: str) -> None:
        print(f"\n{text}")

    def line(self, what: str, value: int | float | str, note: str = "", holds: bool = True) -> None:
        shown = f"{value:,}" if isinstance(value, int) else \
            f"{value:,.1f}" if isinstance(value, float) else value
        mark = "" if holds else "   <- FAILED"
        print(f"  {what:<22}{shown:>10}   {note}{mark}".rstrip())
        if not holds:
            self.failed.append(what)


def _done(o: Outcome, table: Table) -> None:
    told, chaos = o.told, o.chaos
    kinds = {kind: chaos.done[(o.device, kind)]
             for kind in ("reset", "hole", "truncate", "chop", "rob")}
    middle = sum(cut.get("mid_commit") == "yes" for cut in told.cuts)
    table.head("what was done to it")
    table.line("policy", "always", f"{o.producers} producers; {told.lived_in_1970} of "
               f"{o.totals.lives} lives began in 1970")
    table.line("power cuts", len(told.cuts), f"{middle} in the middle of a commit", middle > 0)
    table.line("kill -9", told.kills, f"{told.kills_in_batch} in mid-batch",
               told.kills_in_batch > 0)
    table.line("network faults", sum(kinds.values()),
               f"reset {kinds['reset']}, black hole {kinds['hole']}, truncated {kinds['truncate']}, "
               f"chopped into bytes {kinds['chop']}, robbed of replies {kinds['rob']}",
               min(kinds.values()) > 0)
    table.line("lost replies", o.totals.lost_replies,
               "batches found at the target when it was asked again",
               kinds["rob"] > 0 and o.totals.lost_replies > 0)
    table.line("refused batches", o.totals.refused_full,
               f"server out of memory {told.oom_windows} times", o.totals.refused_full > 0)
    table.line("server killed -9", o.server.kills, "and restarted on its append-only file",
               o.server.kills > 0)
    table.line("rewinds", o.server.rewinds, f"{told.rewound:,} entries gone from the server, "
               "which had acknowledged them", o.server.rewinds > 0 and told.rewound > 0)


def _came(o: Outcome, table: Table) -> None:
    v = o.main
    table.head("what came of it")
    table.line("accepted", v.accepted, "written down by another process at each acknowledgement",
               v.accepted >= o.readings)
    table.line("at the target", v.target, "" if o.exit_code == 0 else "the firmware did not finish",
               o.exit_code == 0)
    table.line("missing", v.missing, "", v.missing == 0)
    table.line("duplicated", v.duplicated, "", v.duplicated == 0)
    table.line("out of order", v.out_of_order, "", v.out_of_order == 0)
    table.line("unanswered pushes", v.unanswered,
               "arrived, their acknowledgement died with the firmware")
    if v.foreign:
        table.line("not our readings", v.foreign, "", False)


def _controls(o: Outcome, table: Table) -> None:
    table.head("under the same faults, to show that they bite")
    table.line("naive XADD", o.naive.lost + o.naive.doubled, f"{o.naive.lost:,} lost, "
               f"{o.naive.doubled:,} doubled, of {o.naive.answered:,} that the server had "
               "acknowledged", o.naive.lost + o.naive.doubled > 0)
    table.line("sync switched off", o.liar.missing, f"lost, of {o.liar.accepted:,} accepted: the "
               "device's syncs do nothing", o.liar.missing > 0)


def _cost(o: Outcome, table: Table) -> None:
    wire = o.chaos.sent[o.device] + o.chaos.received[o.device]
    mib = 1024 * 1024
    table.head("what it cost")
    table.line("resident memory", f"{o.totals.peak_resident / mib:.1f} MiB",
               f"at its peak; {o.totals.peak_anonymous / mib:.1f} MiB of it anonymous")
    table.line("flash", o.totals.device_bytes / max(o.main.accepted * o.reading_bytes, 1),
               "bytes written per byte of readings")
    table.line("wire", wire / max(o.main.target, 1), "bytes per entry, both ways, with TLS, "
               f"{o.totals.connects} reconnects and what was sent again")


def _look(o: Outcome) -> None:
    query = f"XRANGE '{o.key}' - + COUNT 3"
    folder = os.path.relpath(o.server.folder)
    print("\nlook at the data")
    if o.keep:
        print(f"  REDISCLI_AUTH={o.server.admin_password} redis-cli --user admin "
              f"-s {o.server.socket_path} {query}")
        print("  the same with SHUTDOWN ends the server")
        return
    print(f"  redis-server {folder}/look.conf && sleep 1 && redis-cli -s {folder}/look.sock {query}")


def show(o: Outcome) -> bool:
    """Prints the table and says whether everything held."""
    table = Table()
    _done(o, table)
    _came(o, table)
    _controls(o, table)
    _cost(o, table)
    _look(o)
    if table.failed:
        print(f"\nFAILED: {', '.join(table.failed)} (seed {o.seed}, {o.seconds:.0f} s)")
        return False
    print(f"\nPROVED: {o.main.accepted:,} accepted readings reached the target, each once and in "
          f"order (seed {o.seed}, {o.seconds:.0f} s)")
    return True
