"""Values that are not believed are counted, and told when that begins and ends."""

from __future__ import annotations

from actors.inverter.doubts import MAX_TOLD, SILENCE_NS, Doubt, Doubts
from actors.messages import Quality

GOOD, BAD = bytes([Quality.GOOD]), bytes([Quality.INVALID])
REASONS = ["why a", "why b"]


def test_a_doubt_is_told_when_it_begins_and_when_it_ends() -> None:
    doubts = Doubts(["a", "b"])
    assert doubts.take(GOOD + GOOD, REASONS, 0) == []
    assert doubts.take(GOOD + BAD, REASONS, 1) == [Doubt("b", "why b")]
    assert doubts.take(GOOD + BAD, REASONS, 2) == []
    assert doubts.take(GOOD + GOOD, REASONS, 3) == [Doubt("b", "")]
    assert doubts.counted == 2


def test_a_point_that_comes_and_goes_is_told_once_a_minute_and_counted_always() -> None:
    doubts = Doubts(["a", "b"])
    told = [
        doubts.take(BAD + GOOD if second % 2 else GOOD + GOOD, REASONS, second * SILENCE_NS // 60)
        for second in range(120)
    ]
    assert sum(map(len, told)) <= 4
    assert doubts.counted == 60


def test_a_stale_value_is_no_doubt() -> None:
    doubts = Doubts(["a", "b"])
    assert doubts.take(bytes([Quality.STALE, Quality.MISSING]), REASONS, 0) == []


def test_a_device_of_which_nothing_is_believed_does_not_fill_the_log() -> None:
    doubts = Doubts([str(place) for place in range(300)])
    assert len(doubts.take(BAD * 300, ["why"] * 300, 0)) == MAX_TOLD
    assert doubts.counted == 300
