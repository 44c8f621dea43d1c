from __future__ import annotations

import math
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bessai.campaign.served import Lie, served
from bessai.simulator.device import DeviceConfig, SimulatedDevice
from bessai.simulator.fault_set import FaultSet
from bessai.simulator.faults import fault_of
from bessai.simulator.value_faults import ValueFaults
from tests.bessai.campaign.records import ns, truths

REGISTERS = {
    "soc_pct": ("esu1_soc_pct", 0.1, 0, 100),
    "temperature_c": ("esu1_temperature_c", 0.1, -50, 120),
    "battery_power_w": ("esu1_power_w", 1.0, -1e6, 1e6),
}
_NAMES = {"temperature_c": "battery_temperature_c"}


def lies(register: str) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    named = {"register": register}
    return st.one_of(
        st.just(("sentinel", named)),
        st.just(("nan", named)),
        st.builds(lambda v: ("spoofed", named | {"value": v}), st.integers(0, 100)),
        st.builds(lambda v: ("drifting", named | {"per_s": v}), st.floats(-20, 20)),
        st.builds(lambda v: ("scaled", named | {"factor": v}), st.sampled_from([0.1, 0.5, 2, 10])),
        st.just(("sign_flipped", named)),
        st.just(("stuck", named)),
    )


@settings(max_examples=50)
@given(data=st.data(), field=st.sampled_from(list(REGISTERS)), soc_pct=st.floats(0, 100))
def test_the_judge_knows_what_the_simulator_serves(
    data: st.DataObject, field: str, soc_pct: float
) -> None:
    """Where the judge tells a value, a client reads that very value, or none in its range."""
    name, resolution, low, high = REGISTERS[field]
    kind, parameters = data.draw(lies(_NAMES.get(field, field)))
    device = SimulatedDevice("d1", DeviceConfig(soc_pct=soc_pct, temperature_c=23.0))
    clock = [0.0]
    faults = FaultSet(clock=lambda: clock[0])
    faults.add("lie", fault_of(kind, parameters))
    clock[0] = 3.0
    point = device.map.by_name[name]
    words = ValueFaults(faults, device.image.points_named).bent(
        point.address, device.read(point.address, point.count)
    )
    read = point.decode(list(words))
    truth = truths((0, 60, {"soc_pct": soc_pct}))[30]

    told = getattr(served(truth, [Lie(ns(0), ns(60), fault_of(kind, parameters))]), field)

    if told is None:
        invalid = tuple(words) == point.invalid_words()
        assert invalid or not isinstance(read, float | int) or not low <= read <= high
    elif not math.isnan(told):
        assert isinstance(read, float | int)
        # A register is rounded before it is scaled.
        assert abs(read - told) <= resolution * 1.01 * max(1.0, abs(parameters.get("factor", 1.0)))


def test_two_lies_about_one_value_are_beyond_the_judge() -> None:
    made = fault_of("spoofed", {"register": "soc_pct", "value": 3})
    both = [Lie(ns(0), ns(60), made)] * 2
    assert math.isnan(served(truths()[30], both).soc_pct or 0.0)


def test_a_lie_is_told_from_its_beginning_to_its_end() -> None:
    made = fault_of("spoofed", {"register": "soc_pct", "value": 3})
    told = [served(truth, [Lie(ns(1.0), ns(2.0), made)]).soc_pct for truth in truths()[:30:5]]
    assert told == [50.0, 50.0, 3.0, 3.0, 50.0, 50.0]
