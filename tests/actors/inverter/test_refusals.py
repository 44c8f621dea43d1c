from __future__ import annotations

from actors.inverter.errors import DeviceError, device_error
from actors.inverter.refusals import CALM_NS, Refusal, Refusals

BUSY = device_error(6, "read")
FAILURE = device_error(4, "read")


def each(*errors: DeviceError) -> list[tuple[DeviceError, str]]:
    return [(error, str(error)) for error in errors]


def test_a_kind_of_refusal_is_told_once_when_it_begins() -> None:
    refusals = Refusals()
    told = refusals.take(each(BUSY, BUSY, FAILURE), 0)
    assert [one.kind for one in told] == ["busy", "device_failure"]
    assert told[0].reason == "read: device busy (exception code 0x06)"
    assert refusals.take(each(BUSY), 1) == []


def test_what_is_refused_now_is_the_device_s_trouble() -> None:
    refusals = Refusals()
    refusals.take(each(BUSY), 0)
    assert refusals.trouble == "requests are refused: read: device busy (exception code 0x06)"
    refusals.take([], CALM_NS)
    assert refusals.trouble == ""


def test_what_a_device_does_not_have_is_no_trouble() -> None:
    refusals = Refusals()
    refusals.take(each(device_error(2, "read")), 0)
    assert refusals.trouble == ""


def test_it_is_told_once_more_when_it_was_not_met_for_some_time() -> None:
    refusals = Refusals()
    refusals.take(each(BUSY), 0)
    assert refusals.take([], CALM_NS - 1) == []
    assert refusals.take([], CALM_NS) == [Refusal("busy", "")]
    assert refusals.take([], 2 * CALM_NS) == []


def test_a_kind_that_goes_on_does_not_cease() -> None:
    refusals = Refusals()
    for turn in range(5):
        told = refusals.take(each(BUSY), turn * (CALM_NS - 1))
        assert [one.kind for one in told] == (["busy"] if turn == 0 else [])
