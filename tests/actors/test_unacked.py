from __future__ import annotations

import pytest

from actors.unacked import ITEM_OVERHEAD_BYTES, NOTHING, PATIENCE_NS, WINDOW, Replay, Unacked

NOW_NS = 1_000


def _filled(count: int, *, max_bytes: int = 1 << 20) -> Unacked:
    unacked = Unacked(max_bytes=max_bytes)
    for seq in range(1, count + 1):
        unacked.add(seq, b"x", NOW_NS)
    return unacked


def _seqs(replay: Replay) -> list[int]:
    return [item.seq for item in replay.items]


def test_messages_go_at_once_until_the_window_is_full() -> None:
    unacked = Unacked(max_bytes=1 << 20)
    at_once = [unacked.add(seq, b"x", NOW_NS) for seq in range(1, WINDOW + 3)]

    assert at_once == [True] * WINDOW + [False] * 2


def test_an_acknowledgement_forgets_and_lets_the_next_go() -> None:
    unacked = _filled(WINDOW + 3)

    unacked.acknowledge(2, None, NOW_NS)

    assert len(unacked) == WINDOW + 1
    assert _seqs(unacked.due(NOW_NS)) == [WINDOW + 1, WINDOW + 2]


def test_what_is_asked_for_again_is_sent_again_from_there() -> None:
    unacked = _filled(5)

    unacked.acknowledge(1, 3, NOW_NS)

    replay = unacked.due(NOW_NS)
    assert (replay.resume, _seqs(replay), replay.items[0].prior_seq) == (True, [4, 5], 3)
    assert unacked.due(NOW_NS) == NOTHING


def test_while_a_replay_is_owed_new_messages_keep_their_turn() -> None:
    unacked = _filled(2)
    unacked.acknowledge(0, 0, NOW_NS)

    assert not unacked.add(3, b"x", NOW_NS)
    assert _seqs(unacked.due(NOW_NS)) == [1, 2, 3]


def test_after_a_silence_one_message_goes_as_a_probe() -> None:
    unacked = _filled(5)
    later_ns = NOW_NS + PATIENCE_NS

    replay = unacked.due(later_ns)

    assert (replay.resume, _seqs(replay)) == (True, [1])
    assert not unacked.add(6, b"x", later_ns)
    assert unacked.due(later_ns + 1) == NOTHING
    unacked.acknowledge(1, None, later_ns)
    assert _seqs(unacked.due(later_ns)) == [2, 3, 4, 5, 6]


def test_a_message_that_was_not_waited_for_long_is_not_sent_again() -> None:
    unacked = _filled(1)
    unacked.acknowledge(1, None, NOW_NS)
    later_ns = NOW_NS + 2 * PATIENCE_NS
    unacked.add(2, b"x", later_ns)

    assert unacked.due(later_ns + 1) == NOTHING


def test_memory_is_bounded_and_what_leaves_is_counted() -> None:
    unacked = _filled(10, max_bytes=3 * (1 + ITEM_OVERHEAD_BYTES))

    assert (len(unacked), unacked.lost, unacked.untold) == (3, 7, 7)
    assert unacked.first is not None
    assert (unacked.first.seq, unacked.first.prior_seq) == (8, 7)


def test_a_loss_counts_as_told_once_something_later_is_acknowledged() -> None:
    unacked = _filled(10, max_bytes=3 * (1 + ITEM_OVERHEAD_BYTES))

    unacked.acknowledge(8, None, NOW_NS)

    assert (unacked.lost, unacked.untold) == (7, 0)


@pytest.mark.parametrize("seqs", [(1, 2, 3), (4, 9, 11)])
def test_each_message_names_the_one_before_it(seqs: tuple[int, ...]) -> None:
    unacked = Unacked(max_bytes=1 << 20)
    for seq in seqs:
        unacked.add(seq, b"x", NOW_NS)
    unacked.acknowledge(0, 0, NOW_NS)

    assert [item.prior_seq for item in unacked.due(NOW_NS).items] == [0, *seqs[:-1]]


def test_a_narrow_window_holds_also_after_what_is_acknowledged() -> None:
    unacked = Unacked(max_bytes=1 << 20, window=4)
    at_once = [unacked.add(seq, b"x", NOW_NS) for seq in range(1, 11)]
    assert at_once == [True] * 4 + [False] * 6
    unacked.acknowledge(4, None, NOW_NS)
    assert _seqs(unacked.due(NOW_NS)) == [5, 6, 7, 8]
    assert unacked.due(NOW_NS) == NOTHING
