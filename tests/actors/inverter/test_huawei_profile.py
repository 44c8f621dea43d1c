"""The profile for SUN2000 and LUNA2000 says of every register what the table of facts says."""

from __future__ import annotations

import re

import pytest

from actors.inverter.profile import (
    VITAL_POINTS,
    Block,
    Operand,
    Point,
    PollClass,
    Severity,
    Step,
)
from tests.actors.inverter.driven import PROFILE
from tests.huawei_table import ROWS, Row

TYPES = {"B16": "bits16", "B32": "bits32"}
OPPOSITE = {"37113", "37132", "37134", "37136"}
"""The meter counts export as positive, this gateway import."""


LEFT_OUT = {
    *(30105, 30209, 30211, 30366, 32095),
    *(37138, *range(38228, 38452, 42)),
    *(37410, 37411, 37429, 37498, 37500, 37502, 37504, 37516, 43065),
    *(40120, 40122, 40123, 40125, 40126, 40129, 40196, 40200, 40201),
    *(42015, 42017, 42019, 42178, 42405, 45086, 49999),
    *(47027, 47028, 47107, 47108, 47200, 47255, *range(47750, 47756), 47604, 47956),
}
"""What the profile does not read: other devices, scheduling, commands, tables, and what is told elsewhere too."""
POINTS = [(block, point) for block in PROFILE.blocks for point in block.points]
STEPS = [step for _, steps in PROFILE.write.sequences() for step in steps]


@pytest.mark.parametrize(("block", "point"), POINTS, ids=lambda each: each.name)
def test_a_point_is_what_the_table_says(block: Block, point: Point) -> None:
    del block
    row = ROWS[point.address]
    assert (point.count, point.type.value, point.gain) == (row.registers, _type(row), row.gain)
    assert point.flip == (str(point.address) in OPPOSITE)
    units = {"°C": "degC", "MΩ": "Mohm", "epoch": "s", "bitfield": "", "enum": "", "bool": ""}
    assert point.unit == units.get(row.unit, row.unit)
    assert "W" not in row.access or "R" in row.access


def _type(row: Row) -> str:
    return TYPES.get(row.type, row.type.lower())


def test_every_register_of_the_table_is_read_or_left_out_on_purpose() -> None:
    read = {point.address for _, point in POINTS}
    assert set(ROWS) - read == LEFT_OUT
    assert read <= set(ROWS)


@pytest.mark.parametrize("step", STEPS)
def test_a_step_writes_what_the_table_says_is_writable(step: Step) -> None:
    row = ROWS[step.address]
    assert (step.type.value, step.type.registers, row.access) == (_type(row), row.registers, "RW")
    assert step.gain == row.gain
    assert step.persistent == ("PERSISTENT" in row.note and step.operand is not Operand.ORIGINAL)


def test_a_point_with_one_of_the_tables_booleans_is_told_as_one() -> None:
    points = {point.address: point for _, point in POINTS}
    for row in ROWS.values():
        if row.unit == "bool" and row.address in points:
            assert (points[row.address].low, points[row.address].high) == (0, 1)


def test_every_alarm_bit_has_a_name_a_number_and_a_severity() -> None:
    alarms = [bit for _, point in POINTS if point.name.startswith("alarm_") for bit in point.bits]
    assert len(alarms) == len({bit.id for bit in alarms}) == 48
    assert all(bit.severity for bit in alarms)
    named = {bit.name: (bit.id, bit.severity) for bit in alarms}
    assert named["Grid Loss"] == (2032, Severity.MAJOR)
    assert named["Abnormal String Power"] == (2013, Severity.WARNING)
    assert named["Battery abnormal"] == (2068, Severity.MINOR)


def test_what_safety_decides_on_is_in_safety_blocks_and_a_poll_asks_few_questions() -> None:
    by_class = {kind: [b for b in PROFILE.blocks if b.poll_class is kind] for kind in PollClass}
    safety = {point.name for block in by_class[PollClass.SAFETY] for point in block.points}
    assert {*VITAL_POINTS, PROFILE.write.forced_point} <= safety
    single = [
        block
        for kind in (PollClass.SAFETY, PollClass.FAST)
        for block in by_class[kind]
        if block.only_if is None or block.only_if.point != "esu2_model"
    ]
    assert len(single) == 6
    assert all(block.count <= 83 for block in PROFILE.blocks)


def test_no_block_reads_what_devices_in_the_field_do_not_answer() -> None:
    blocks = {block.name: block for block in PROFILE.blocks}
    assert blocks["meter"].address + blocks["meter"].count - 1 == 37137
    assert blocks["meter"].only_if is not None
    assert blocks["meter"].only_if.point == "meter_status"
    together = [(35300, 4), (35304, 4)]
    assert set(together) <= {(block.address, block.count) for block in PROFILE.blocks}


def test_strings_and_packs_are_as_many_as_the_device_has() -> None:
    points = {point.name: (block, point) for block, point in POINTS}
    for number in range(1, 25):
        block, point = points[f"pv{number}_voltage_v"]
        condition = point.only_if or block.only_if
        assert condition is not None
        assert (condition.point, condition.at_least) == ("pv_strings", number)
    for name, (block, _) in points.items():
        if re.fullmatch(r"esu\d_pack\d_soc_pct", name):
            assert block.only_if is not None
            assert block.only_if.point == name.replace("soc_pct", "serial")


def test_a_second_battery_unit_counts_in_every_vital_that_it_tells() -> None:
    vitals = PROFILE.vital_points()
    second = {name for names in vitals.values() for name in names if name.startswith("esu2_")}
    assert len(second) == 5
    homes = PROFILE.homes
    conditions = {homes[name].only_if for name in second}
    assert [condition.point for condition in conditions if condition] == ["esu2_model"]


def test_charge_from_grid_is_asked_for_and_never_written() -> None:
    requirement = next(r for r in PROFILE.write.requires if r.point == "charge_from_grid")
    assert list(requirement.allowed) == [1]
    assert 47087 not in {step.address for step in STEPS}
