# SPDX-License-Identifier: Apache-2.0
"""The account of the gateway's job: what was acknowledged, held against what was carried out."""
import collections
import os
from dataclasses import dataclass, field
from pathlib import Path

from .report import Table


@dataclass(frozen=True)
class Account:
    """Of one framework."""
    name: str
    accepted: int
    executed: int  # distinct jobs among the accepted ones
    missing: int  # acknowledged, never carried out; with what got lost in hand-over
    failed: int  # acknowledged, not carried out, and their results say so
    repeated: int  # executions beyond the first of a job
    without: int  # carried out, but without the right result in the end
    unordered: int  # what was stored beside the job and is not there
    unanswered: int  # carried out, though no acknowledgement was seen
    twice: int  # acknowledged twice: a fault of the rig

    @property
    def lost(self) -> int:
        return self.missing + self.without + self.unordered


def settle(name: str, accepted: list[str], executed: list[str], without: list[str],
           unordered: list[str], failed: list[str]) -> Account:
    known = set(accepted)
    done = collections.Counter(executed)
    told = known & set(failed) - done.keys()
    return Account(
        name=name, accepted=len(known), executed=len(known & done.keys()),
        missing=len(known - done.keys() - told), failed=len(told),
        repeated=sum(n - 1 for n in done.values()),
        without=len(set(without) & done.keys()), unordered=len(set(unordered)),
        unanswered=len(done.keys() - known), twice=len(accepted) - len(known))


@dataclass
class Told:
    """What was done to whom."""
    cuts: list[dict[str, str]] = field(default_factory=list)
    idle_cuts: int = 0  # those at which no worker was
    waiting: int = 0  # jobs that waited at these
    gone: int = 0  # of those, what the server did not have any more right afterwards
    kills: int = 0
    revived: int = 0  # workers that ended by themselves
    worker_kills: int = 0
    celery_kills: int = 0

    @property
    def hand_overs(self) -> int:
        """How many jobs Celery may have lost by itself. Its worker takes a message with BRPOP, which
        removes it, and writes it down as taken afterwards: one that is on the way in between is lost
        when either end dies, whatever the server. There is one worker, and it takes one at a time."""
        return len(self.cuts) - self.idle_cuts + self.kills + self.celery_kills


@dataclass(frozen=True)
class Control:
    name: str
    makers: list[Account]
    cuts: int

    @property
    def lost(self) -> int:
        return sum(a.lost for a in self.makers)


@dataclass(frozen=True)
class Outcome:
    seed: int
    jobs: int
    told: Told
    makers: list[Account]
    controls: list[Control]
    refused: dict[str, int]
    folder: Path
    seconds: float


    @property
    def handed(self) -> int:
        """What Celery has lost by itself, as far as that can be."""
        return min(sum(a.missing for a in self.makers if a.name == "celery"), self.told.hand_overs)


def _each(o: Outcome, name: str) -> str:
    return ", ".join(f"{a.name} {getattr(a, name):,}" for a in o.makers)


def _sum(o: Outcome, name: str) -> int:
    return sum(int(getattr(a, name)) for a in o.makers)


def _done(o: Outcome, table: Table) -> None:
    told = o.told
    middle = sum(cut.get("mid_commit") == "yes" for cut in told.cuts)
    table.head("what was done to it")
    table.line("policy", "always", "Celery with Django and BullMQ through oxbowd, unchanged")
    table.line("power cuts", len(told.cuts), f"{middle} in the middle of a commit, {told.idle_cuts} "
               "while jobs waited for workers", middle > 0 and told.idle_cuts > 0)
    table.line("server killed -9", told.kills, "", told.kills > 0)
    table.line("workers killed -9", told.worker_kills, f"{told.celery_kills} of Celery, "
               f"{told.worker_kills - told.celery_kills} of BullMQ; {told.revived} of Celery ended "
               "by themselves when the server did", 0 < told.celery_kills < told.worker_kills)


def _came(o: Outcome, table: Table) -> None:
    accepted = _sum(o, "accepted")
    missing = _sum(o, "missing") - o.handed
    table.head("what came of it")
    table.line("accepted", accepted, f"{_each(o, 'accepted')}; written down at each acknowledgement",
               accepted >= o.jobs and all(a.accepted > 0 and a.twice == 0 for a in o.makers))
    table.line("executed", _sum(o, "executed"), "of them, at least once")
    table.line("missing", missing, "", missing == 0)
    table.line("lost by Celery", o.handed, f"its BRPOP had taken them, then it or the server died; at "
               f"most one each of {o.told.hand_overs} times, with any server")
    table.line("failed in Celery", _sum(o, "failed"), "it lost its connection, gave up a chord or a "
               "retry and told so in the result")
    table.line("gone after a cut", o.told.gone, f"of {o.told.waiting:,} jobs that waited and were "
               "looked for right afterwards", o.told.gone == 0 and o.told.waiting > 0)
    table.line("without result", _sum(o, "without"), "", _sum(o, "without") == 0)
    table.line("orders forgotten", _sum(o, "unordered"), "not in Django's cache",
               _sum(o, "unordered") == 0)
    table.line("repeated executions", _sum(o, "repeated"),
               f"{_each(o, 'repeated')}: both promise at least once, no more")
    table.line("unanswered orders", _sum(o, "unanswered"),
               "carried out, their acknowledgement died with the server")
    table.line("refused orders", sum(o.refused.values()), "whoever gave them was told so")


def _controls(o: Outcome, table: Table) -> None:
    table.head("power cuts of the same kind, when what is acknowledged is synced every second")
    for control in o.controls:
        accepted = sum(a.accepted for a in control.makers)
        table.line(control.name, control.lost, f"lost, of {accepted:,} accepted, in {control.cuts} "
                   "cuts", control.lost > 0)


def show(o: Outcome) -> bool:
    """Prints the table and says whether everything held."""
    table = Table()
    _done(o, table)
    _came(o, table)
    _controls(o, table)
    print(f"\nlook at what they wrote\n  {os.path.relpath(o.folder)}/")
    if table.failed:
        print(f"\nFAILED: {', '.join(table.failed)} (seed {o.seed}, {o.seconds:.0f} s)")
        return False
    given_up = o.handed + _sum(o, "failed")
    but = f", but for {given_up} that Celery had taken" if given_up else ""
    print(f"\nPROVED: {_sum(o, 'accepted'):,} acknowledged jobs of Celery and BullMQ were carried out "
          f"and have their results{but} (seed {o.seed}, {o.seconds:.0f} s)")
    return True
