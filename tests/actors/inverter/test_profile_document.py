"""docs/profiles.md explains every key there is, and its worked example works."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from actors.inverter.decode import BlockPlan
from actors.inverter.profile import (
    Bit,
    Block,
    Condition,
    Effect,
    Identity,
    Operand,
    Point,
    PointType,
    PollClass,
    Precondition,
    Profile,
    Requirement,
    Severity,
    Step,
    Timing,
    WriteSpec,
)
from actors.inverter.profile_file import USUAL_KIND, parse_profile
from actors.inverter.sunspec_profile import Modules, Quantity, SunSpecProfile, SunSpecWrite
from actors.inverter.write import LiveLimits, plan_power, plan_stop

DOCUMENT = (Path(__file__).parents[3] / "docs" / "profiles.md").read_text(encoding="utf-8")
SECTIONS = dict(
    zip(*[iter(re.split(r"^### (\w+)$", DOCUMENT, flags=re.MULTILINE)[1:])] * 2, strict=True)
)
STRUCTS: dict[str, tuple[type[msgspec.Struct], ...]] = {
    "Profile": (Profile,),
    "Identity": (Identity, Requirement),
    "Timing": (Timing,),
    "Block": (Block,),
    "Point": (Point, Bit),
    "Condition": (Condition,),
    "Write": (WriteSpec, Precondition, Effect),
    "Step": (Step,),
    "SunSpec": (SunSpecProfile, Quantity, Modules, SunSpecWrite),
}
_PARSED = parse_profile(
    re.findall(r"^```toml example\n(.*?)^```", DOCUMENT, flags=re.MULTILINE | re.DOTALL)[
        0
    ].encode(),
    "docs/profiles.md",
)
assert isinstance(_PARSED, Profile)
EXAMPLE: Profile = _PARSED


def rows(section: str) -> dict[str, str]:
    """Return the default by key of a section's table; keys that share a row share its defaults or have one each."""
    found: dict[str, str] = {}
    for line in SECTIONS[section].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| `"):
            keys = re.findall(r"`(\w+)`", cells[0])
            defaults = [part.strip() for part in cells[1].split(",")]
            each = defaults if len(defaults) == len(keys) else [cells[1]] * len(keys)
            found |= dict(zip(keys, each, strict=True))
    return found


@pytest.mark.parametrize("section", STRUCTS)
def test_the_document_names_every_key_and_no_other(section: str) -> None:
    first, *inner = STRUCTS[section]
    keys = {field.encode_name for field in msgspec.structs.fields(first)}
    keys |= {"kind"} if first is Profile else set()
    assert set(rows(section)) == keys
    for struct in inner:
        for field in msgspec.structs.fields(struct):
            assert f"`{field.encode_name}`" in SECTIONS[section], field.encode_name


@pytest.mark.parametrize("section", STRUCTS)
def test_a_documented_default_is_the_default(section: str) -> None:
    fields = {field.encode_name: field for field in msgspec.structs.fields(STRUCTS[section][0])}
    for key, told in rows(section).items():
        quoted = re.fullmatch(r"`(.+)`", told)
        if quoted is None or key not in fields:
            continue
        default = getattr(fields[key].default, "value", fields[key].default)
        if (section, key) == ("Step", "word_order"):
            default = default or "big"
        value = tomllib.loads(f"x = {quoted[1]}")["x"]
        assert (tuple(value) if isinstance(value, list) else value) == default, key


@pytest.mark.parametrize("member", [*PointType, *PollClass, *Severity, *Operand], ids=str)
def test_the_document_names_every_choice(
    member: PointType | PollClass | Severity | Operand,
) -> None:
    assert re.search(rf'`"?{member.value}"?`', DOCUMENT)


def test_the_usual_kind_is_documented() -> None:
    assert rows("Profile")["kind"] == f'`"{USUAL_KIND}"`'


def test_the_worked_example_reads_what_its_table_says() -> None:
    battery, state = EXAMPLE.blocks
    values = BlockPlan(EXAMPLE, battery).decode([655, 0xFFF6, 0xFFFF, 0xF830, 500, 400, 2]).values
    assert values == [65.5, -1.0, 2000.0, 5000.0, 4000.0, 2.0]
    assert BlockPlan(EXAMPLE, state).decode([9, 0, 12345]).values == [9.0, 123.45]
    assert BlockPlan(EXAMPLE, battery).decode([0xFFFF, 0, 0, 0, 0, 0, 0]).values[0] is None


def test_the_worked_example_commands_with_its_own_sign_and_countdown() -> None:
    limits = LiveLimits(5000, 4000)
    charge = plan_power(EXAMPLE.write, 1500, limits, 2)
    discharge = plan_power(EXAMPLE.write, -1500, limits, 2)
    assert [step.words for step in charge.steps] == [(120,), (0x10000 - 150,), (1,)]
    assert [step.words for step in discharge.steps] == [(120,), (150,), (1,)]
    assert [step.address for step in plan_stop(EXAMPLE.write).steps] == [300, 301]
