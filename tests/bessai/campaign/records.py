"""Synthetic records: a device at rest in mid charge, with what a test adds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bessai.campaign.judge import judge
from bessai.campaign.offence import Judgement
from bessai.campaign.record import Done, Record, Truth
from bessai.campaign.step import Step, What
from bessai.campaign.terms import Terms
from bessai.simulator.director import FOREIGN, FaultRecord
from bessai.simulator.faults import fault_of
from bessai.simulator.record import WriteRecord

TERMS = Terms()
START_S = 1000.0
LASTS_S = 60.0
GATEWAY = "127.0.0.1:4711"


def ns(second: float) -> int:
    """Return the stamp of `second` after the record's beginning."""
    return int((START_S + second) * 1e9)


def truths(
    *changes: tuple[float, float, dict[str, float]], lasts_s: float = LASTS_S
) -> list[Truth]:
    """Return ten truths a second; each change holds from its first second until its second one."""
    found = []
    for tick in range(int(lasts_s * 10)):
        state = {"soc_pct": 50.0, "temperature_c": 23.0, "battery_power_w": 0.0}
        state |= {"max_charge_w": 5000.0, "max_discharge_w": 5000.0, "forced_mode": 0}
        for from_s, to_s, values in changes:
            if from_s <= tick / 10 < to_s:
                state |= values
        mode = int(state.pop("forced_mode"))
        found.append(Truth(device="d1", mono_ns=ns(tick / 10), forced_mode=mode, **state))
    return found


def write(second: float, **values: float) -> WriteRecord:
    """Return a write of the gateway that was carried out."""
    return _write(second, values, result="ok", client=GATEWAY)


def refused(second: float, result: str, values: dict[str, float]) -> WriteRecord:
    """Return a write of the gateway that ended with `result`."""
    return _write(second, values, result=result, client=GATEWAY)


def foreign(second: float, **values: float) -> WriteRecord:
    """Return a write of another master."""
    return _write(second, values, result="ok", client=FOREIGN)


def _write(second: float, values: dict[str, float], *, result: str, client: str) -> WriteRecord:
    return WriteRecord(
        index=int(second * 10),
        device="d1",
        mono_ns=ns(second),
        wall_ns=0,
        unit=1,
        function=16,
        address=47100,
        words=[],
        values=values,
        result=result,
        client=client,
    )


def fault(from_s: float, to_s: float, kind: str, **parameters: object) -> list[FaultRecord]:
    """Return a fault of the device as it begins and ends."""
    made = fault_of(kind, parameters)
    return [
        FaultRecord(event=event, device="d1", name=kind, mono_ns=ns(second), wall_ns=0, fault=made)
        for event, second in (("begins", from_s), ("ends", to_s))
    ]


def done(from_s: float, to_s: float, what: What, *, refused: str = "") -> Done:
    """Return a step as it was carried out."""
    step = Step(number=0, at_s=from_s, device="", what=what)
    return Done(step=step, began_ns=ns(from_s), ended_ns=ns(to_s), refused=refused)


def record(
    of: list[Truth],
    *,
    writes: Iterable[WriteRecord] = (),
    faults: Sequence[FaultRecord] = (),
    steps: Iterable[Done] = (),
) -> Record:
    """Return the record of one device."""
    return Record(
        terms=TERMS,
        truths={"d1": of},
        writes={"d1": sorted(writes, key=lambda each: each.mono_ns)},
        faults=list(faults),
        done=list(steps),
    )


def judged(
    of: list[Truth],
    *,
    writes: Iterable[WriteRecord] = (),
    faults: Sequence[FaultRecord] = (),
    steps: Iterable[Done] = (),
) -> Judgement:
    """Return what the judge says of such a record."""
    return judge(record(of, writes=writes, faults=faults, steps=steps))


def rules(found: Judgement) -> list[str]:
    """Return the broken rules by their short names."""
    return [offence.rule.partition(" ")[0] for offence in found.offences]
