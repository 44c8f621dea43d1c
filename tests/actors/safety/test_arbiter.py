from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.messages import Ruling, SetpointRequest
from actors.safety.arbiter import Arbiter, wants_renewal
from actors.safety.config import DeviceLimits
from actors.safety.guard import Verdict
from actors.safety.priorities import SOURCES
from actors.safety.ramp import Descent
from supervision.clock import NS_PER_S

NOW_NS = 1000 * NS_PER_S
AT_ONCE = Descent(DeviceLimits(ramp_down_s=0.0))


def _request(seq: int = 1, **changes: Any) -> SetpointRequest:
    fields: dict[str, Any] = {
        "device_id": "inv-1",
        "power_w": 1000.0,
        "ttl_s": 60.0,
        "mono_ns": NOW_NS,
        "seq": seq,
        "source": "dispatcher",
        "reason": "cheap",
    }
    return SetpointRequest(**(fields | changes))


def _screen(
    arbiter: Arbiter, request: SetpointRequest, *, epoch: int = 1, now_ns: int = NOW_NS
) -> Verdict | None:
    return arbiter.screen(request, sender="dispatcher", epoch=epoch, now_ns=now_ns)


def _arbiter() -> Arbiter:
    return Arbiter(max_ttl_s=900, requests_per_minute=60)


def test_a_request_in_order_may_be_judged() -> None:
    arbiter = _arbiter()

    assert [_screen(arbiter, _request(seq)) for seq in (1, 2, 9)] == [None, None, None]


@pytest.mark.parametrize(("epoch", "seq"), [(2, 5), (2, 4), (1, 99)])
def test_a_replayed_request_is_refused(epoch: int, seq: int) -> None:
    arbiter = _arbiter()
    _screen(arbiter, _request(5), epoch=2)

    verdict = _screen(arbiter, _request(seq), epoch=epoch)

    assert verdict is not None
    assert verdict.ruling is Ruling.REPLAYED
    assert f"request {seq} of incarnation {epoch} after 5 of 2" in verdict.detail


def test_a_new_incarnation_of_a_source_may_count_from_one_again() -> None:
    arbiter = _arbiter()
    _screen(arbiter, _request(5), epoch=2)

    assert _screen(arbiter, _request(1), epoch=3) is None


def test_the_order_of_one_source_does_not_bind_another() -> None:
    arbiter = _arbiter()
    _screen(arbiter, _request(5))

    operator = _request(1, source="operator")
    assert arbiter.screen(operator, sender="api", epoch=1, now_ns=NOW_NS) is None


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 4)), max_size=20))
def test_no_request_is_accepted_twice(history: list[tuple[int, int]]) -> None:
    arbiter = _arbiter()

    accepted = [h for h in history if _screen(arbiter, _request(h[1]), epoch=h[0]) is None]

    assert accepted == sorted(set(accepted))


@pytest.mark.parametrize("ttl_s", [0.0, -1.0, 901.0, math.nan, math.inf])
def test_a_request_without_a_proper_end_is_denied(ttl_s: float) -> None:
    verdict = _screen(_arbiter(), _request(ttl_s=ttl_s))

    assert verdict is not None
    assert (verdict.ruling, verdict.rule) == (Ruling.DENIED, "ttl")


def test_a_request_that_has_ended_is_expired() -> None:
    verdict = _screen(_arbiter(), _request(), now_ns=NOW_NS + 60 * NS_PER_S)

    assert verdict is not None
    assert verdict.ruling is Ruling.EXPIRED


def test_a_request_from_the_future_is_denied() -> None:
    verdict = _screen(_arbiter(), _request(), now_ns=NOW_NS - 1)

    assert verdict is not None
    assert (verdict.ruling, verdict.rule) == (Ruling.DENIED, "clock")


def test_a_lease_ends_after_its_time_or_with_its_request() -> None:
    arbiter = _arbiter()
    for ttl_s, until_s in ((60.0, 5), (3.0, 3)):
        lease = arbiter.grant(
            _request(ttl_s=ttl_s),
            power_w=500.0,
            seq=1,
            inverter_epoch=7,
            lease_ns=5 * NS_PER_S,
            descent=AT_ONCE,
            now_ns=NOW_NS,
        )
        assert lease.until_ns == NOW_NS + until_s * NS_PER_S
        assert arbiter.lease("inv-1") is lease

    arbiter.withdraw("inv-1")

    assert arbiter.lease("inv-1") is None


def test_a_lease_may_last_as_long_as_the_descent_from_what_was_approved_at_the_request_s_end() -> (
    None
):
    arbiter, request = _arbiter(), _request(ttl_s=2.0)
    descent = Descent(DeviceLimits(max_charge_w=5000.0, ramp_down_s=10.0))

    def until_s(power_w: float, after_s: float) -> float:
        now_ns = NOW_NS + int(after_s * NS_PER_S)
        lease = arbiter.grant(
            request,
            power_w=power_w,
            seq=1,
            inverter_epoch=7,
            lease_ns=60 * NS_PER_S,
            descent=descent,
            now_ns=now_ns,
        )
        return (lease.until_ns - NOW_NS) / NS_PER_S

    assert until_s(5000.0, 0.0) == 2.0 + 9.0
    assert until_s(2000.0, 1.0) == 2.0 + 3.0  # lowered while the request lived
    assert until_s(1500.0, 2.0) == until_s(1000.0, 3.0) == 2.0 + 3.0


def test_a_lease_is_renewed_in_its_second_half_as_long_as_its_request_lives() -> None:
    def wants(ttl_s: float, after_s: float) -> bool:
        lease = _arbiter().grant(
            _request(ttl_s=ttl_s),
            power_w=500.0,
            seq=1,
            inverter_epoch=7,
            lease_ns=4 * NS_PER_S,
            descent=AT_ONCE,
            now_ns=NOW_NS,
        )
        later_ns = NOW_NS + int(after_s * NS_PER_S)
        return wants_renewal(lease, lease_ns=4 * NS_PER_S, now_ns=later_ns)

    assert [wants(60, 1.9), wants(60, 2.0), wants(3, 2.0)] == [False, True, False]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted(SOURCES)), st.integers(1, 100), st.integers(0, 60), st.booleans()
        ),
        max_size=30,
    )
)
def test_nobody_is_granted_what_somebody_of_higher_priority_holds(
    history: list[tuple[str, int, int, bool]],
) -> None:
    arbiter, now_ns = _arbiter(), NOW_NS
    held = (0, "", 0)  # priority, source and end of what holds, kept by the test itself
    for seq, (name, ttl_s, pause_s, releases) in enumerate(history, start=1):
        now_ns += pause_s * NS_PER_S
        held = held if now_ns < held[2] else (0, "", 0)
        source = SOURCES[name]
        request = _request(seq, source=name, ttl_s=float(ttl_s), mono_ns=now_ns)

        verdict = arbiter.screen(request, sender=source.sender, epoch=1, now_ns=now_ns)

        assert (verdict is None) == (source.priority >= held[0])
        if verdict is None:
            arbiter.grant(
                request,
                power_w=1.0,
                seq=seq,
                inverter_epoch=7,
                lease_ns=NS_PER_S,
                descent=AT_ONCE,
                now_ns=now_ns,
            )
            held = (source.priority, name, now_ns + ttl_s * NS_PER_S)
        if releases:
            assert (arbiter.release("inv-1", name, now_ns) == "") == (held[1] == name)
            held = held if held[1] != name else (0, "", 0)
