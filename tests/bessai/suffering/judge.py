"""Compares what happened to a device with its row: every function returns what is wrong, in words."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bessai.simulator.record import WriteRecord
from tests.bessai.suffering.evidence import Line, Suffered
from tests.bessai.suffering.rows import ASKED_W, Row

VITAL = ("soc_pct", "battery_temperature_c", "battery_power_w")
RESOLUTION = {"soc_pct": 0.3, "battery_temperature_c": 0.5, "battery_power_w": 30.0}
"""Of the registers, and what twenty seconds of charging change."""
FORCED_MODE, CHARGE_W, DISCHARGE_W = 47100, 47247, 47249


def wrong_quality(row: Row, found: Suffered) -> Iterator[str]:
    """Yield what is wrong with the published qualities."""
    told = {(p, q) for sample in found.samples for p, q in sample.get("quality", {}).items()}
    if row.silent:
        if found.shown:
            yield "/metrics still shows a state of charge"
        return
    if not found.samples:
        yield "nothing is published"
    for point, quality in row.quality.items():
        if (point, quality) not in told:
            yield f"{point} is never {quality}"
        elif row.stopped and found.samples[-1].get("quality", {}).get(point) != quality:
            yield f"{point} is not {quality} any more"
    spoiled = {point for point, _ in told if point in VITAL}
    if not row.quality and spoiled:
        yield f"not good: {spoiled}"


def wrong_counts(row: Row, found: Suffered) -> Iterator[str]:
    """Yield what is wrong with the counters."""
    if found.errors != row.errors:
        yield f"counted errors {set(found.errors)} instead of {set(row.errors)}"
    if (found.doubted > 0) != row.doubted:
        yield f"{found.doubted:g} values were doubted"


def wrong_words(row: Row, found: Suffered) -> Iterator[str]:
    """Yield what is wrong with the log and the reason in /health."""
    lines = [line for line in found.log if line["event"] == row.event]
    if row.event and not any(re.search(row.says, line.get("reason", "")) for line in lines):
        yield f"no line {row.event!r} says {row.says!r}: {lines}"
    if not row.event and (warnings := [x for x in found.log if _is_trouble(x)]):
        yield f"the log warns of {warnings}"
    if not re.search(row.health, found.reason):
        yield f"the reason in /health is {found.reason!r}"


def wrong_safety(row: Row, found: Suffered) -> Iterator[str]:
    """Yield where safety does not stand as it should."""
    if row.charging_open is not None and found.may_charge != row.charging_open:
        yield f"may_charge is {found.may_charge}"
    if row.stopped and (found.truth.forced_mode or abs(found.truth.battery_power_w) > 1.0):
        yield f"the battery still does {found.truth.battery_power_w:.0f} W"


def false_numbers(row: Row, found: Suffered) -> Iterator[str]:
    """Yield every published number that is not true."""
    truths = {
        "soc_pct": (row.before.get("soc_pct", 50.0),),
        "battery_temperature_c": (25.0,),
        "battery_power_w": row.powers_w,
    }
    for sample in found.samples:
        for point, possible in truths.items():
            value, allowed = (
                sample["values"].get(point),
                RESOLUTION[point] + row.slack.get(point, 0.0),
            )
            if value is not None and min(abs(value - true) for true in possible) > allowed:
                yield f"{point} = {value:g} in poll {sample['seq']}"
        if row.late_s and _is_outdated(sample, found, row.late_s):
            yield f"the power that was over is still believed in poll {sample['seq']}"


def wrong_writes(row: Row, found: Suffered) -> Iterator[str]:
    """Yield commands that a false number caused: all that may be written is what was asked for, and stops."""
    for write in found.writes:
        if not _is_asked_or_stop(write):
            yield f"wrote {write.words} to {write.address}"
    modes = [w.words[0] for w in found.writes if w.address == FORCED_MODE and w.result == "ok"]
    if row.stopped and (not modes or modes[-1] != 0):
        yield f"the last mode that was written is {modes[-1:]}"


def _is_outdated(sample: Line, found: Suffered, late_s: float) -> bool:
    """Tell whether a sample believes in the power that ended so long ago with the change of the device's state."""
    power_w = sample["values"].get("battery_power_w")
    over = sample["wall_ns"] > found.changed_ns + late_s * 1e9
    return over and power_w is not None and power_w > ASKED_W / 2


def _is_asked_or_stop(write: WriteRecord) -> bool:
    charge_w = write.values.get("forced_charge_power_w", 0.0)
    discharge_w = write.values.get("forced_discharge_power_w", 0.0)
    return (
        charge_w in {0.0, ASKED_W} and discharge_w == 0.0 and write.values.get("forced_mode", 0) < 2
    )


def _is_trouble(line: Line) -> bool:
    """Tell whether a line says that something is wrong with the device; a busy machine may let any device lag."""
    lost = line["event"] == "link" and line["state"] != "online"
    return lost or line["event"] in {"value not believed", "requests are refused", "made safe"}
