from __future__ import annotations

import struct

import pytest

from bessai.simulator.fault_set import FaultSet
from bessai.simulator.faults import fault_of
from bessai.simulator.wire_faults import Put, Treatment, WireFaults


def answer(transaction: int, *words: int) -> bytes:
    data = struct.pack(f">BBB{len(words)}H", 1, 3, 2 * len(words), *words)
    return struct.pack(">HHH", transaction, 0, len(data)) + data


ONE, TWO = answer(7, 10, 11), answer(8, 20, 21)


def suffering(kind: str, **parameters: object) -> tuple[FaultSet, WireFaults]:
    faults = FaultSet(seed=3, clock=lambda: 5.0)
    connection = WireFaults(faults)
    faults.add(kind, fault_of(kind, parameters))
    return faults, connection


def put(kind: str, frame: bytes = ONE, **parameters: object) -> list[bytes]:
    _, connection = suffering(kind, **parameters)
    return [each.data for each in connection.deliver(frame, write=False).puts]


def test_without_a_fault_a_request_is_carried_out_and_its_answer_untouched() -> None:
    connection = WireFaults(FaultSet())
    assert connection.rule(write=True).treatment is Treatment.CARRY_OUT
    assert connection.deliver(ONE, write=True).puts == (Put(ONE),)


@pytest.mark.parametrize(
    ("kind", "treatment"),
    [
        ("hang", Treatment.SILENCE),
        ("half_open", Treatment.SILENCE),
        ("close", Treatment.DROP),
        ("exception", Treatment.EXCEPTION),
        ("ignore_writes", Treatment.PRETEND),
        ("slow", Treatment.CARRY_OUT),
    ],
)
def test_a_fault_of_requests_decides_their_treatment(kind: str, treatment: Treatment) -> None:
    _, connection = suffering(kind)
    assert connection.rule(write=True).treatment is treatment


def test_a_connection_opened_after_a_half_open_fault_began_works() -> None:
    now = [0.0]
    faults = FaultSet(clock=lambda: now[0])
    faults.add("half_open", fault_of("half_open", {}))
    now[0] = 1.0
    assert WireFaults(faults).rule(write=False).treatment is Treatment.CARRY_OUT


def test_of_two_faults_the_graver_decides_and_their_delays_add_up() -> None:
    faults, connection = suffering("slow", delay_s=0.5)
    faults.add("b", fault_of("hang", {"scope": "writes"}))
    faults.add("c", fault_of("latency", {"delay_s": 0.25}))
    assert connection.rule(write=True).treatment is Treatment.SILENCE
    assert connection.rule(write=False).treatment is Treatment.CARRY_OUT
    assert connection.rule(write=False).delay_s == 0.75


def test_jitter_stays_within_its_bound_and_follows_from_the_seed() -> None:
    drawn = [suffering("jitter", delay_s=0.5)[1].rule(write=False).delay_s for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert 0.0 < drawn[0] < 0.5


def test_a_busy_storm_refuses_some_requests_and_not_others() -> None:
    _, connection = suffering("busy")
    rulings = [connection.rule(write=False) for _ in range(100)]
    refused = [each.code for each in rulings if each.treatment is Treatment.EXCEPTION]
    assert 30 < len(refused) < 70
    assert set(refused) == {6}


def test_an_answer_is_cut_split_or_sent_twice() -> None:
    assert put("truncated") == [ONE[:6]]
    assert put("split") == [ONE[:6], ONE[6:]]
    assert put("duplicated") == [ONE + ONE]


def test_a_reset_comes_after_half_an_answer() -> None:
    delivery = suffering("reset")[1].deliver(ONE, write=False)
    assert delivery.reset
    assert delivery.puts == (Put(ONE[:6]),)


def test_an_answer_waits_to_be_merged_with_the_next_one() -> None:
    _, connection = suffering("merged", delay_s=0.3)
    first = connection.deliver(ONE, write=False)
    assert (first.puts, first.hold_s) == ((), 0.3)
    assert connection.deliver(TWO, write=False).puts == (Put(ONE + TWO),)
    assert connection.release() == b""


def test_an_answer_that_no_other_follows_is_released() -> None:
    _, connection = suffering("merged")
    connection.deliver(ONE, write=False)
    assert connection.release() == ONE


def test_an_old_answer_comes_before_or_instead_of_the_right_one() -> None:
    for kind, expected in (("replayed", ONE + TWO), ("stale", ONE)):
        _, connection = suffering(kind)
        connection.deliver(ONE, write=False)
        assert connection.deliver(TWO, write=False).puts == (Put(expected),)


def test_another_transaction_or_unit_id_changes_nothing_else() -> None:
    (transaction,) = put("wrong_transaction")
    (unit,) = put("wrong_unit")
    assert transaction[:2] != ONE[:2]
    assert transaction[2:] == ONE[2:]
    assert unit[6] != ONE[6]
    assert unit[:6] + unit[7:] == ONE[:6] + ONE[7:]


def test_a_wrong_length_is_a_sound_frame_with_one_register_less() -> None:
    assert put("wrong_length") == [answer(7, 10)]


def test_garbage_has_the_length_of_the_answer() -> None:
    (garbage,) = put("garbage")
    assert len(garbage) == len(ONE)
    assert garbage != ONE
