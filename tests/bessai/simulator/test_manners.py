from __future__ import annotations

import random

import pytest

from bessai.simulator.manners import Guests, Manners, manners_of


def test_without_manners_every_request_is_answered_at_once() -> None:
    plain = Manners()
    assert not plain.swallows(10.0, opened_s=10.0, answered_s=10.0)
    assert plain.latency(random.Random(1)) == 0.0


def test_a_request_is_swallowed_until_the_connection_has_settled() -> None:
    shy = Manners(settle_s=1.0)
    assert shy.swallows(10.9, opened_s=10.0, answered_s=None)
    assert not shy.swallows(11.0, opened_s=10.0, answered_s=None)


def test_a_request_is_swallowed_that_comes_too_soon_after_an_answer() -> None:
    shy = Manners(gap_s=0.05)
    assert shy.swallows(20.04, opened_s=10.0, answered_s=20.0)
    assert not shy.swallows(20.06, opened_s=10.0, answered_s=20.0)


def test_a_request_that_came_before_the_answer_ahead_of_it_is_no_haste_without_a_gap() -> None:
    assert not Manners().swallows(19.9, opened_s=10.0, answered_s=20.0)


def test_a_slow_link_stays_within_its_bounds() -> None:
    dongle, draw = manners_of({"preset": "sdongle"}), random.Random(1)
    assert dongle.clients is Guests.NEWEST
    assert all(0.3 <= dongle.latency(draw) <= 1.3 for _ in range(100))


def test_what_is_given_goes_before_the_preset() -> None:
    dongle = manners_of({"preset": "sdongle", "clients": "oldest", "settle_s": 0})
    assert (dongle.clients, dongle.settle_s, dongle.gap_s) == (Guests.OLDEST, 0.0, 0.04)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"preset": "rude"}, "unknown preset 'rude'; valid: none, direct, sdongle"),
        ({"settle_s": -1}, "settle_s=-1 must be 0 to 60 seconds"),
        ({"latency_s": [2, 1]}, "must give the shorter time first"),
        ({"clients": "two"}, "Invalid enum value 'two'"),
        ({"setle_s": 1}, "unknown field `setle_s`"),
    ],
)
def test_manners_that_cannot_be_are_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("[", r"\[")):
        manners_of(given)
