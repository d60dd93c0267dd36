# SPDX-License-Identifier: Apache-2.0
"""What arrived, held against what was accepted and against the file that the readings came from."""
import collections
import zlib
from dataclasses import dataclass
from pathlib import Path

from .device import Accepted

Entries = list[tuple[bytes, list[bytes]]]


def checksum(fields: list[bytes]) -> int:
    return zlib.crc32(b"".join(part + b"\0" for part in fields))


def write_readings(path: Path, rows: int) -> None:
    """A recorded run of a few sensors, one reading a row."""
    names = ("supply_voltage", "pump_pressure", "oil_temperature", "flow")
    units = ("mV", "kPa", "mC", "ml/s")
    with path.open("w", encoding="ascii") as file:
        file.write("row,sensor,value,unit,quality\n")
        for row in range(1, rows + 1):
            kind = row * 7919 % len(names)
            value = 10000 + row * 104729 % 8191
            file.write(f"{row},{names[kind]},{value}.{row % 10},{units[kind]},good\n")


def load_readings(path: Path) -> list[int]:
    """The checksum of each row, as it must be at the target; row n is item n."""
    with path.open("rb") as file:
        names = file.readline().strip().split(b",")
        sums = [0]
        for line in file:
            cells = line.rstrip(b"\r\n").split(b",")
            sums.append(checksum([part for pair in zip(names, cells) for part in pair]))
    return sums


@dataclass(frozen=True)
class Verdict:
    accepted: int
    target: int
    missing: int  # accepted, but not there under its id with its content
    duplicated: int  # rows that are there more than once
    out_of_order: int  # neighbours at the target whose rows do not ascend
    unanswered: int  # there, though no acknowledgement was seen: under way at a kill
    foreign: int  # what is no reading at all, or not as it was taken; gap records too

    @property
    def good(self) -> bool:
        return self.accepted > 0 and self.missing + self.duplicated + self.out_of_order == 0 \
            and self.foreign == 0


def judge(accepted: Accepted, entries: Entries, sums: list[int]) -> Verdict:
    at_target: dict[bytes, int] = {}
    rows: list[int] = []
    foreign = 0
    for entry, fields in entries:
        found = checksum(fields)
        at_target[entry] = found
        row = int(fields[1]) if fields[0] == b"row" and fields[1].isdigit() else 0
        if not 0 < row < len(sums) or sums[row] != found:
            foreign += 1
        else:
            rows.append(row)
    missing = sum(at_target.get(entry) != known[0] for entry, known in accepted.by_id.items())
    times = collections.Counter(rows)
    return Verdict(
        accepted=len(accepted.by_id), target=len(entries), missing=missing,
        duplicated=sum(n - 1 for n in times.values()) + accepted.twice,
        out_of_order=sum(a >= b for a, b in zip(rows, rows[1:])),
        unanswered=len(at_target.keys() - accepted.by_id.keys()), foreign=foreign)


@dataclass(frozen=True)
class NaiveVerdict:
    sent: int
    answered: int
    lost: int
    doubled: int
    out_of_order: int


def judge_naive(sent: int, answered: list[int], entries: Entries) -> NaiveVerdict:
    numbers = [int(fields[1]) for _, fields in entries]
    times = collections.Counter(numbers)
    return NaiveVerdict(
        sent=sent, answered=len(answered), lost=sum(n not in times for n in answered),
        doubled=sum(n - 1 for n in times.values()),
        out_of_order=sum(a > b for a, b in zip(numbers, numbers[1:])))
