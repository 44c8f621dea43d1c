"""A scripted plan of faults: a TOML file that always comes to the same steps, whatever happens while it runs.

seed = 7
lasts_s = 300

[[manners]]                 # how devices behave when nothing is wrong
devices = "all"
preset = "sdongle"

[[step]]                    # one fault, at a time that is given
at_s = 10
devices = ["d1", "d3-d5"]
fault = "drifting"
parameters = { register = "soc_pct", per_s = 0.2 }
for_s = 60                  # left out: until the plan ends
every_s = 100               # left out: once

[[random]]                  # faults at times, on devices and of kinds that follow from the seed
devices = "all"
per_min = 2.0
for_s = [5, 20]
choices = [{ fault = "hang" }, { fault = "busy", parameters = { probability = 0.3 } }]
"""

from __future__ import annotations

import random
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from bessai.simulator.faults import Fault, fault_of
from bessai.simulator.manners import Manners, manners_of

MAX_STEPS = 100_000
MAX_PER_MIN = 60_000.0
MAX_LASTS_S = 7 * 86_400.0


class PlanError(Exception):
    """A plan that cannot be carried out; the text names the file, the section and the fix."""


class Choice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A fault that a random section may choose."""

    fault: str
    parameters: dict[str, Any] = {}
    weight: float = 1.0


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A `[[step]]` as the file says it."""

    devices: str | list[str]
    fault: str
    at_s: float = 0.0
    parameters: dict[str, Any] = {}
    for_s: float | None = None
    every_s: float | None = None


class RandomSteps(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A `[[random]]` as the file says it."""

    devices: str | list[str]
    choices: list[Choice]
    per_min: float
    """Faults a minute on all its devices together, on average."""
    for_s: tuple[float, float] = (5.0, 20.0)
    from_s: float = 0.0
    to_s: float | None = None


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    seed: int = 0
    lasts_s: float = 300.0
    manners: list[dict[str, Any]] = []
    step: list[dict[str, Any]] = []
    random: list[dict[str, Any]] = []

    def __post_init__(self) -> None:
        if not 0.0 < self.lasts_s <= MAX_LASTS_S:
            raise ValueError(f"lasts_s={self.lasts_s:g} must be above 0, to {MAX_LASTS_S:g}")


_Kind = TypeVar("_Kind", Step, RandomSteps, _File)


class PlannedFault(msgspec.Struct, frozen=True, kw_only=True):
    """One fault of one device, with its times since the start of the plan."""

    name: str
    """Unique in the plan."""
    device: str
    at_s: float
    until_s: float
    fault: Fault


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A plan, expanded for the devices of a site."""

    source: str
    """Its file."""
    seed: int
    lasts_s: float
    manners: dict[str, Manners]
    """Of the devices that have any, by name."""
    faults: tuple[PlannedFault, ...]
    """In order of their beginning."""


def read_plan(path: Path, devices: list[str]) -> Plan:
    """Return the plan of the file `path` for a site of `devices`, in their order.

    Raises:
        PlanError: if it cannot be read, or says what cannot be done.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PlanError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PlanError(f"{path}: is no TOML: {error}") from error
    return plan_of(found, devices, source=str(path))


def plan_of(found: Mapping[str, object], devices: list[str], *, source: str = "plan") -> Plan:
    """Return the plan that the decoded TOML `found` describes; `source` names it in errors.

    Raises:
        PlanError: if it says what cannot be done.
    """
    where = source
    try:
        said = _section(found, _File)
        manners: dict[str, Manners] = {}
        for number, section in enumerate(said.manners, 1):
            where = f"{source}: [[manners]] number {number}"
            given = {name: value for name, value in section.items() if name != "devices"}
            chosen = devices_of(section.get("devices", "all"), devices)
            manners.update(dict.fromkeys(chosen, manners_of(given)))
        faults: list[PlannedFault] = []
        for number, section in enumerate(said.step, 1):
            where = f"{source}: [[step]] number {number}"
            faults += _expand_step(_section(section, Step), number, said.lasts_s, devices)
        for number, section in enumerate(said.random, 1):
            where = f"{source}: [[random]] number {number}"
            faults += _expand_random(_section(section, RandomSteps), number, said, devices)
    except ValueError as error:
        raise PlanError(f"{where}: {error}") from error
    faults.sort(key=lambda each: (each.at_s, each.name))
    return Plan(
        source=source,
        seed=said.seed,
        lasts_s=said.lasts_s,
        manners=manners,
        faults=tuple(faults),
    )


def _section(found: Mapping[str, object], kind: type[_Kind]) -> _Kind:
    """Return `found` as a `kind`, or say which key is not one or what is wrong with its value."""
    valid = [field.name for field in msgspec.structs.fields(kind)]
    for key in found:
        if key not in valid:
            raise ValueError(f"{key!r} is not a key here; valid: {', '.join(valid)}")
    return msgspec.convert(found, kind)


def devices_of(wanted: object, devices: list[str]) -> list[str]:
    """Return those of `devices` that `wanted` names: "all", a name, a span such as "d3-d5", or a list of these.

    Raises:
        ValueError: naming what is no device.
    """
    if isinstance(wanted, list):
        named = {name for each in wanted for name in devices_of(each, devices)}
        return [name for name in devices if name in named]
    if wanted == "all":
        return list(devices)
    if wanted in devices:
        return [str(wanted)]
    first, dash, last = str(wanted).partition("-")
    if dash and first in devices and last in devices:
        return devices[devices.index(first) : devices.index(last) + 1]
    span = devices[0] if len(devices) == 1 else f"{devices[0]} to {devices[-1]}"
    raise ValueError(
        f'devices: {wanted!r} is none of {span}; give "all", a name, a span such as "d1-d3", or a list'
    )


def _expand_step(
    step: Step, number: int, lasts_s: float, devices: list[str]
) -> Iterator[PlannedFault]:
    fault = fault_of(step.fault, step.parameters)
    if not 0.0 <= step.at_s < lasts_s:
        raise ValueError(f"at_s={step.at_s:g} must be 0 or more and before lasts_s={lasts_s:g}")
    if step.for_s is not None and not step.for_s >= 0.0:
        raise ValueError(f"for_s={step.for_s:g} must not be negative")
    if step.every_s is not None and (step.for_s is None or not step.every_s > step.for_s):
        raise ValueError(
            f"every_s={step.every_s:g} needs a shorter for_s, so that it ends before it comes again"
        )
    chosen = devices_of(step.devices, devices)
    at_s, turn = step.at_s, 1
    while at_s < lasts_s:
        until_s = lasts_s if step.for_s is None else min(at_s + step.for_s, lasts_s)
        for device in chosen:
            called = f"step {number}.{turn} {device}"
            yield PlannedFault(name=called, device=device, at_s=at_s, until_s=until_s, fault=fault)
        if step.every_s is None:
            return
        _check_count(turn * len(chosen), "give a longer every_s")
        at_s, turn = step.at_s + turn * step.every_s, turn + 1


def _expand_random(
    section: RandomSteps, number: int, said: _File, devices: list[str]
) -> Iterator[PlannedFault]:
    """Draw faults with exponential pauses; every section draws from a source of its own."""
    chosen = devices_of(section.devices, devices)
    faults = [fault_of(each.fault, each.parameters) for each in section.choices]
    weights = [each.weight for each in section.choices]
    low_s, high_s = section.for_s
    if not faults or min(weights) <= 0.0:
        raise ValueError("choices must hold at least one fault, each with a weight above 0")
    if not 0.0 < section.per_min <= MAX_PER_MIN:
        raise ValueError(f"per_min={section.per_min:g} must be above 0, to {MAX_PER_MIN:g}")
    if not 0.0 <= low_s <= high_s:
        raise ValueError(f"for_s=[{low_s:g}, {high_s:g}] must give the shorter time first")
    draw = random.Random(f"{said.seed}/{number}")
    ends_s = said.lasts_s if section.to_s is None else min(section.to_s, said.lasts_s)
    at_s, turn = section.from_s + draw.expovariate(section.per_min / 60.0), 1
    while at_s < ends_s:
        _check_count(turn, "give fewer per_min")
        device = draw.choice(chosen)
        yield PlannedFault(
            name=f"random {number}.{turn} {device}",
            device=device,
            at_s=round(at_s, 3),
            until_s=round(min(at_s + draw.uniform(low_s, high_s), said.lasts_s), 3),
            fault=draw.choices(faults, weights)[0],
        )
        at_s, turn = at_s + draw.expovariate(section.per_min / 60.0), turn + 1


def _check_count(count: int, fix: str) -> None:
    if count > MAX_STEPS:
        raise ValueError(f"comes to more than {MAX_STEPS} faults; {fix}")
