"""Settings that read back late."""

import pytest

from bessai.simulator.late_settings import LateSettings


def test_a_written_setting_says_what_it_was_until_its_time() -> None:
    late = LateSettings(2.0)
    late.written(["power"], {"power": 0.0})
    late.step(1.9)
    assert late.shown("power", 500.0) == 0.0
    late.step(0.2)
    assert late.shown("power", 500.0) == 500.0


def test_a_second_write_goes_on_from_what_was_said() -> None:
    late = LateSettings(2.0)
    late.written(["power"], {"power": 0.0})
    late.step(1.0)
    late.written(["power"], {"power": 500.0})
    late.step(1.5)
    assert late.shown("power", 900.0) == 0.0
    late.step(1.0)
    assert late.shown("power", 900.0) == 900.0


@pytest.mark.parametrize("late_s", [0.0, 5.0])
def test_what_was_not_written_is_as_it_is(late_s: float) -> None:
    late = LateSettings(late_s)
    late.written(["mode"], {"mode": 1.0})
    assert late.shown("power", 3.0) == 3.0
    assert late.shown("mode", 2.0) == (2.0 if late_s == 0.0 else 1.0)
