from __future__ import annotations

import pytest

from bessai.simulator.fault_set import FaultSet
from bessai.simulator.faults import FaultKind, fault_of
from bessai.simulator.huawei_map import HUAWEI
from bessai.simulator.value_faults import ValueFaults

SOC, POWER = HUAWEI.by_name["storage_soc_pct"], HUAWEI.by_name["storage_power_w"]


class Bent:
    """A device with one fault, and a clock that the test turns."""

    def __init__(self, kind: str, **parameters: object) -> None:
        self.now_s = 100.0
        self.faults = FaultSet(seed=1, clock=lambda: self.now_s)
        self.faults.add(kind, fault_of(kind, parameters))
        self.values = ValueFaults(self.faults, HUAWEI.points_named)

    def soc(self, soc_pct: float) -> float | int | str:
        return SOC.decode(self.values.bent(SOC.address, list(SOC.encode(soc_pct))))

    def power(self, power_w: float) -> float | int | str:
        return POWER.decode(self.values.bent(POWER.address, list(POWER.encode(power_w))))


def test_without_a_fault_the_very_words_are_served() -> None:
    words = [1, 2]
    assert ValueFaults(FaultSet(), HUAWEI.points_named).bent(SOC.address, words) is words


def test_a_stuck_register_repeats_its_first_value_until_the_fault_ends() -> None:
    bent = Bent("stuck", register="soc_pct")
    assert [bent.soc(50.0), bent.soc(40.0)] == [50.0, 50.0]
    bent.faults.end("stuck")
    assert bent.soc(40.0) == 40.0


def test_a_fault_that_comes_again_does_not_remember_what_it_stuck_to() -> None:
    bent = Bent("stuck", register="soc_pct")
    bent.soc(50.0)
    bent.faults.end("stuck")
    bent.values.forget()
    bent.faults.add("stuck", fault_of("stuck", {"register": "soc_pct"}))
    assert bent.soc(40.0) == 40.0


def test_a_drifting_register_leaves_the_truth_with_time() -> None:
    bent = Bent("drifting", register="soc_pct", per_s=-0.5)
    assert bent.soc(50.0) == 50.0
    bent.now_s += 4.0
    assert bent.soc(50.0) == 48.0


def test_a_spiking_register_is_off_in_some_responses_by_its_size() -> None:
    bent = Bent("spiking", register="soc_pct", size=20.0)
    served = [bent.soc(50.0) for _ in range(100)]
    assert set(served) == {30.0, 50.0, 70.0}
    assert served.count(50.0) > 60
    again = Bent("spiking", register="soc_pct", size=20.0)
    assert served == [again.soc(50.0) for _ in range(100)]


def test_sign_factor_and_value_are_bent() -> None:
    assert Bent("sign_flipped", register="battery_power_w").power(1500.0) == -1500.0
    assert Bent("scaled", register="battery_power_w", factor=0.1).power(1500.0) == 150.0
    assert Bent("spoofed", register="soc_pct", value=77.0).soc(5.0) == 77.0


def test_what_no_register_can_hold_is_served_as_the_most_it_can() -> None:
    assert Bent("scaled", register="soc_pct", factor=1e6).soc(50.0) == 6553.5
    assert Bent("sign_flipped", register="soc_pct").soc(50.0) == pytest.approx(0.0, abs=0.1)


def test_a_register_says_that_it_has_no_value() -> None:
    assert Bent("sentinel", register="soc_pct").values.bent(SOC.address, [500]) == [0xFFFF]
    assert Bent("nan", register="battery_power_w").values.bent(POWER.address, [0, 9]) == [0x7FC0, 0]


def test_a_register_without_a_value_has_none_under_a_fault_either() -> None:
    bent = Bent("spoofed", register="soc_pct", value=50.0)
    assert bent.values.bent(SOC.address, [0xFFFF]) == [0xFFFF]


def test_only_registers_that_are_wholly_in_the_answer_are_bent() -> None:
    bent = Bent("spoofed", register="battery_power_w", value=50.0)
    assert bent.values.bent(POWER.address + 1, [7]) == [7]
    assert bent.values.bent(POWER.address - 1, [1, 2]) == [1, 2]


def test_the_clock_is_ahead() -> None:
    clock = HUAWEI.by_name["system_time_s"]
    served = Bent("clock_skew", offset_s=120).values.bent(clock.address, list(clock.encode(1000)))
    assert clock.decode(served) == 1120


@pytest.mark.parametrize(
    ("kind", "parameters", "said"),
    [
        ("melt", {}, "unknown fault 'melt'; valid: hang,"),
        ("stuck", {}, "needs the parameter 'register'"),
        ("hang", {"register": "soc_pct"}, "has no parameter 'register'; valid: scope"),
        ("slow", {"delay_s": -1}, r"delay_s=-1\.0 must be 0 to 3600"),
        ("slow", {"delay_s": "long"}, "Expected `float`"),
        ("busy", {"probability": 2}, r"probability=2\.0 must be 0 to 1"),
    ],
)
def test_a_fault_that_cannot_be_is_refused(
    kind: str, parameters: dict[str, object], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        fault_of(kind, parameters)


def test_a_fault_ends_by_its_name_only() -> None:
    faults = FaultSet()
    faults.add("a", fault_of("hang", {}))
    with pytest.raises(KeyError, match="no fault 'b'; present: a"):
        faults.end("b")
    assert faults.has(FaultKind.HANG)
    faults.clear()
    assert len(faults) == 0
