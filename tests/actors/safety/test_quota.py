from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.safety.quota import Quota
from supervision.clock import NS_PER_S


def test_each_key_has_its_own_share_and_is_told_how_long_to_wait() -> None:
    quota = Quota(2, 60.0)

    waits = [quota.take("a", at_s * NS_PER_S) for at_s in (0, 10, 20)]

    assert waits == [0.0, 0.0, 40.0]
    assert quota.take("b", 20 * NS_PER_S) == 0.0
    assert quota.take("a", 60 * NS_PER_S) == 0.0


@given(st.integers(1, 5), st.lists(st.integers(0, 300), max_size=60).map(sorted))
def test_no_window_ever_holds_more_than_the_quota(most: int, asked_s: list[int]) -> None:
    quota = Quota(most, 60.0)

    granted_s = [at_s for at_s in asked_s if quota.take("a", at_s * NS_PER_S) == 0.0]

    assert all(b - a >= 60 for a, b in zip(granted_s, granted_s[most:], strict=False))


@given(st.lists(st.integers(0, 300), max_size=40).map(sorted))
def test_whoever_waits_as_long_as_told_is_granted(asked_s: list[int]) -> None:
    quota = Quota(2, 60.0)
    for at_s in asked_s:
        wait_s = quota.take("a", at_s * NS_PER_S)
        assert quota.wait_s("a", int((at_s + wait_s) * NS_PER_S)) == 0.0 or not wait_s
