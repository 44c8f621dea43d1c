from __future__ import annotations

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from bessai.cloud_simulator.subscription import Subscription


class Message(NamedTuple):
    number: int
    ordering_key: str = ""


def _subscription(count: int, *, ordered: bool = True, keys: int = 1) -> Subscription:
    subscription = Subscription(ordered=ordered, ack_deadline_s=10.0)
    for number in range(count):
        subscription.add(number, Message(number, f"k{number % keys}"))
    return subscription


def test_messages_are_delivered_in_order_and_once_within_their_lease() -> None:
    subscription = _subscription(3)

    assert [each.message.number for each in subscription.pull(2, 0.0)] == [0, 1]
    assert [each.message.number for each in subscription.pull(2, 1.0)] == [2]
    assert subscription.pull(2, 2.0) == []


def test_what_is_not_acknowledged_in_time_comes_again() -> None:
    subscription = _subscription(1)
    (first,) = subscription.pull(1, 0.0)

    (again,) = subscription.pull(1, 10.0)

    assert (first.attempt, again.attempt) == (1, 2)
    subscription.acknowledge([first.ack_id])
    assert len(subscription) == 1, "a lease that has ended acknowledges nothing"


def test_a_message_given_back_takes_the_later_ones_of_its_key_with_it() -> None:
    subscription = _subscription(4, keys=2)
    leased = subscription.pull(4, 0.0)

    subscription.modify([leased[0].ack_id], 0.0, 1.0)

    assert [each.message.number for each in subscription.pull(4, 1.0)] == [0, 2]


def test_without_ordering_only_the_message_itself_comes_again() -> None:
    subscription = _subscription(4, ordered=False, keys=2)
    leased = subscription.pull(4, 0.0)

    subscription.modify([leased[0].ack_id], 0.0, 1.0)

    assert [each.message.number for each in subscription.pull(4, 1.0)] == [0]


@given(st.lists(st.tuples(st.integers(1, 5), st.booleans(), st.floats(0.0, 12.0)), max_size=30))
def test_every_message_is_delivered_and_first_sight_keeps_the_order(
    steps: list[tuple[int, bool, float]],
) -> None:
    subscription = _subscription(20, keys=3)
    now_s, seen = 0.0, list[int]()
    for limit, acknowledges, passed_s in [*steps, *[(20, True, 11.0)] * 3]:
        now_s += passed_s
        leased = subscription.pull(limit, now_s)
        seen += [each.message.number for each in leased]
        if acknowledges:
            subscription.acknowledge([each.ack_id for each in leased])

    assert len(subscription) == 0
    for key in range(3):
        of_key = [number for number in dict.fromkeys(seen) if number % 3 == key]
        assert of_key == list(range(key, 20, 3))
