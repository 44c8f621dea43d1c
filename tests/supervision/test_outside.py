from __future__ import annotations

from supervision.clock import NS_PER_S
from supervision.events import Pulse
from supervision.outside import Outside

NOW_NS = 100 * NS_PER_S


def _pulse(age_s: float = 0.1) -> Pulse:
    return Pulse(mono_ns=NOW_NS - int(age_s * NS_PER_S), progressing=True, status="well")


def test_only_fresh_pulses_of_the_one_who_may_give_them_are_passed_on() -> None:
    passed: list[Pulse] = []
    outside = Outside(pulse_from="watchdog", on_pulse=passed.append)

    outside.hear(_pulse(), "watchdog", NOW_NS)
    outside.hear(_pulse(), "detector", NOW_NS)
    outside.hear(_pulse(age_s=1.0), "watchdog", NOW_NS)

    assert passed == [_pulse()]


def test_a_stop_is_told_once_and_ends_all_pulses() -> None:
    told: list[object] = []
    outside = Outside(
        pulse_from="watchdog", on_pulse=told.append, on_stop=lambda: told.append("stop")
    )

    outside.stop()
    outside.stop()
    outside.hear(_pulse(), "watchdog", NOW_NS)

    assert told == ["stop"]
