"""Who is served first, what is dropped, and who is refused."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from supervision.envelope import Frame, Header, Lane
from supervision.lanes import MAX_PASSED_OVER, Lanes

SHARE, TELEMETRY = 3, 4


def frame(lane: Lane, sender: str = "a", body: bytes = b"") -> Frame:
    return Frame(Header(receiver="r", sender=sender, epoch=1, lane=lane), body)


ARRIVALS = st.lists(st.tuples(st.sampled_from(Lane), st.sampled_from("abc")), max_size=60)


@given(ARRIVALS)
def test_what_goes_in_comes_out_or_is_counted(arrivals: list[tuple[Lane, str]]) -> None:
    """Control keeps everything within a sender's share, latest the newest, telemetry the newest few."""
    lanes = Lanes(control_per_sender=SHARE, telemetry=TELEMETRY)
    put = [frame(lane, sender, bytes([n])) for n, (lane, sender) in enumerate(arrivals)]
    taken = [f for f in put if lanes.put(f)]
    out = lanes.drain()
    control = Counter(f.header.sender for f in put if f.header.lane is Lane.CONTROL)
    assert lanes.refused == len(put) - len(taken)
    for sender, count in control.items():
        kept = [f for f in out if f.header.lane is Lane.CONTROL and f.header.sender == sender]
        assert len(kept) == min(count, SHARE)
    telemetry = [f for f in put if f.header.lane is Lane.TELEMETRY]
    assert [f for f in out if f.header.lane is Lane.TELEMETRY] == telemetry[-TELEMETRY:]
    assert lanes.dropped == max(0, len(telemetry) - TELEMETRY)
    newest = {f.header.sender: f for f in put if f.header.lane is Lane.LATEST}
    assert {f.header.sender: f for f in out if f.header.lane is Lane.LATEST} == newest
    assert len(lanes) == 0
    assert lanes.pop() is None


def test_control_is_served_first() -> None:
    lanes = Lanes(control_per_sender=SHARE, telemetry=TELEMETRY)
    for lane in (Lane.TELEMETRY, Lane.LATEST, Lane.CONTROL):
        lanes.put(frame(lane))
    assert [f.header.lane for f in lanes.drain()] == [Lane.CONTROL, Lane.LATEST, Lane.TELEMETRY]


def test_a_flood_of_control_cannot_starve_a_measurement() -> None:
    lanes = Lanes(control_per_sender=1000, telemetry=TELEMETRY)
    lanes.put(frame(Lane.LATEST))
    for _ in range(100):
        lanes.put(frame(Lane.CONTROL))
    served = [f.header.lane for f in lanes.drain()]
    assert served.index(Lane.LATEST) <= MAX_PASSED_OVER


def test_a_sender_that_is_served_may_send_again() -> None:
    lanes = Lanes(control_per_sender=1, telemetry=TELEMETRY)
    assert lanes.put(frame(Lane.CONTROL))
    assert not lanes.put(frame(Lane.CONTROL))
    lanes.pop()
    assert lanes.put(frame(Lane.CONTROL))


def test_one_flooding_sender_does_not_cost_another_its_share() -> None:
    lanes = Lanes(control_per_sender=1, telemetry=TELEMETRY)
    lanes.put(frame(Lane.CONTROL, "flooder"))
    assert not lanes.put(frame(Lane.CONTROL, "flooder"))
    assert lanes.put(frame(Lane.CONTROL, "honest"))


def test_nobody_waits_behind_a_flood_of_control() -> None:
    lanes = Lanes(control_per_sender=1000, telemetry=TELEMETRY)
    for _ in range(1000):
        lanes.put(frame(Lane.CONTROL, "flooder"))
    lanes.put(frame(Lane.CONTROL, "honest"))
    served = [f.header.sender for f in lanes.drain()]
    assert served.index("honest") <= 1


@given(st.lists(st.sampled_from("abc"), max_size=60))
def test_what_one_sender_sends_is_served_in_its_order(senders: list[str]) -> None:
    lanes = Lanes(control_per_sender=60, telemetry=TELEMETRY)
    for number, sender in enumerate(senders):
        lanes.put(frame(Lane.CONTROL, sender, bytes([number])))
    served = lanes.drain()
    for sender in set(senders):
        bodies = [f.body for f in served if f.header.sender == sender]
        assert bodies == sorted(bodies)
