"""The record of a campaign, as the judge reads it: what the simulator and the runner wrote, with monotonic stamps."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from bessai.campaign.step import Step
from bessai.campaign.terms import Terms
from bessai.simulator.director import FaultRecord
from bessai.simulator.record import WriteRecord

CAMPAIGN, DONE = "campaign.json", "steps.jsonl"
"""The plan with its terms, and what was carried out of it when."""
_Line = TypeVar("_Line", bound=msgspec.Struct)


class Campaign(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done, and under which terms: all that a replay needs."""

    seed: str
    devices: int
    profile: str = ""
    """Of every device; empty: the usual one without its checks of plausibility (see docs/campaign.md)."""
    terms: Terms = Terms()
    steps: tuple[Step, ...]


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """A step as it was carried out."""

    step: Step
    began_ns: int
    ended_ns: int
    """When what lasts was over; of a fault of the device the record of faults says so."""
    refused: str = ""
    """Why it was not carried out."""


class Truth(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Of a `TruthRecord` what the judge looks at."""

    device: str
    mono_ns: int
    soc_pct: float
    temperature_c: float
    battery_power_w: float
    max_charge_w: float
    max_discharge_w: float
    forced_mode: int


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of a campaign. The lists of each device are in order of time."""

    terms: Terms
    truths: dict[str, list[Truth]]
    writes: dict[str, list[WriteRecord]]
    faults: list[FaultRecord]
    done: list[Done]


def read_record(directory: Path) -> Record:
    """Return the record in `directory`.

    Raises:
        OSError: a file is missing.
        msgspec.DecodeError: a file is no such record.
    """
    campaign = read_campaign(directory / CAMPAIGN)
    return Record(
        terms=campaign.terms,
        truths=_by_device(_lines(directory / "truth.jsonl", Truth)),
        writes=_by_device(_lines(directory / "writes.jsonl", WriteRecord)),
        faults=_lines(directory / "faults.jsonl", FaultRecord),
        done=_lines(directory / DONE, Done),
    )


def read_campaign(file: Path) -> Campaign:
    """Return the campaign that was saved in `file`.

    Raises:
        OSError: it cannot be read.
        msgspec.DecodeError: it is no campaign.
    """
    return msgspec.json.decode(file.read_bytes(), type=Campaign)


def _lines(file: Path, kind: type[_Line]) -> list[_Line]:
    decoder = msgspec.json.Decoder(kind)
    with file.open("rb") as lines:
        return [decoder.decode(line) for line in lines]


_OfDevice = TypeVar("_OfDevice", Truth, WriteRecord)


def _by_device(lines: list[_OfDevice]) -> dict[str, list[_OfDevice]]:
    found: dict[str, list[_OfDevice]] = {}
    for line in lines:
        found.setdefault(line.device, []).append(line)
    for of_device in found.values():
        of_device.sort(key=lambda each: each.mono_ns)
    return found
