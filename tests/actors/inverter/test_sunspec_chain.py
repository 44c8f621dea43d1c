"""How the chain of models of a SunSpec device is followed, and what stops that."""

from __future__ import annotations

import asyncio

import pytest

from actors.inverter.errors import (
    BusyError,
    DeviceFailureError,
    PermissionDeniedError,
    WrongDeviceError,
)
from actors.inverter.sunspec_chain import MAX_MODELS, Chain, walk
from tests.actors.inverter.told_registers import (
    END,
    SUNS,
    ToldRegisters,
    common,
    device,
    model,
)

BASES = (40000, 0, 50000)
STORAGE = model(124, {"WChaMax": 5000, "ChaState": 60})


def walked(registers: ToldRegisters, bases: tuple[int, ...] = BASES) -> Chain:
    return asyncio.run(walk(registers.read, bases, registers.longest))


def numbers(chain: Chain) -> list[int]:
    return [each.number for each in chain.models]


@pytest.mark.parametrize("base", BASES)
def test_a_device_is_found_at_each_base(base: int) -> None:
    chain = walked(device(common(), STORAGE, base=base))
    assert chain.base == base
    assert numbers(chain) == [1, 124]
    assert chain.models[1].address == base + 2 + 68
    assert chain.notes == ()


def test_the_first_base_that_holds_the_mark_counts() -> None:
    registers = device(common(), base=0)
    registers.words.update(dict(enumerate([*SUNS, *common("Other"), *END], 50000)))
    assert walked(registers).text("Mn") == "Maker"


def test_words_that_are_no_mark_are_no_device() -> None:
    with pytest.raises(WrongDeviceError, match="no 'SunS' at 40000, 0, 50000"):
        walked(ToldRegisters([0x5375, 0x6E54, 1, 66]))


@pytest.mark.parametrize("code", [1, 2, 3, 4])
def test_any_exception_but_those_of_a_moment_means_that_nothing_is_at_a_base(code: int) -> None:
    registers = device(common(), base=50000)
    registers.exception = code
    assert walked(registers).base == 50000


@pytest.mark.parametrize(("code", "error"), [(6, BusyError), (0x80, PermissionDeniedError)])
def test_a_device_that_cannot_answer_now_is_not_taken_for_another(
    code: int, error: type[Exception]
) -> None:
    registers = device(common(), base=50000)
    registers.exception = code
    with pytest.raises(error):
        walked(registers)


def test_models_that_are_not_known_are_passed_over_unread() -> None:
    chain = walked(device(common(), [64001, 300, *[7] * 300], STORAGE))
    assert numbers(chain) == [1, 64001, 124]
    assert chain.models[1].words == ()


def test_models_of_one_number_are_told_apart() -> None:
    chain = walked(device(common(), STORAGE, STORAGE))
    assert [each.prefix for each in chain.models] == ["m1", "m124", "m124_2"]


def test_long_models_are_read_in_requests_that_the_device_takes() -> None:
    registers = device(common(), model(701, {"W": 1}))
    registers.longest = 50
    chain = walked(registers)
    assert len(chain.models[1].words) == 155
    assert max(count for _, count in registers.reads) == 50


def test_no_request_is_longer_than_the_protocol_allows() -> None:
    registers = device(common(), model(160, {}, length=8 + 20 * 12))
    assert len(walked(registers).models[1].words) == 250


def test_a_chain_without_its_end_is_used_and_noted() -> None:
    chain = walked(device(common(), STORAGE, end=()))
    assert numbers(chain) == [1, 124]
    assert chain.notes == ("the chain has no mark at its end (register 40096)",)


def test_an_end_of_one_word_is_an_end() -> None:
    assert walked(device(common(), STORAGE, end=[0xFFFF])).notes == ()


def test_a_model_that_cannot_be_read_is_left_out_and_noted() -> None:
    registers = device(common(), STORAGE, model(802, {"SoC": 50}))
    del registers.words[40002 + 68 + 10]
    chain = walked(registers)
    assert [each.number for each in chain.models if each.words] == [1, 802]
    assert "model 124 at 40070 is left out" in chain.notes[0]


def test_a_chain_that_is_cut_off_ends_there() -> None:
    registers = device(common(), STORAGE)
    for address in range(40002 + 68 + 10, 40200):
        registers.words.pop(address, None)
    chain = walked(registers)
    assert [each.number for each in chain.models if each.words] == [1]
    assert len(chain.notes) == 2


@pytest.mark.parametrize(
    "nonsense", [[0, 66], [17, 0], [17, 5000], [17, 0xFFFF]], ids=["id", "none", "long", "ones"]
)
def test_a_header_that_makes_no_sense_breaks_the_chain(nonsense: list[int]) -> None:
    with pytest.raises(WrongDeviceError, match=r"register 40070: model .* makes no sense"):
        walked(device(common(), [*nonsense, 1, 2, 3]))


def test_a_chain_that_does_not_end_is_given_up() -> None:
    registers = device(common(), *[[17, 1, 0]] * (MAX_MODELS + 5))
    with pytest.raises(WrongDeviceError, match="it does not end: more than 100 models"):
        walked(registers)
    assert len(registers.reads) < MAX_MODELS + 10


def test_a_chain_that_runs_over_the_last_register_is_broken() -> None:
    registers = device(common(), [17, 4000, *[0] * 4000], base=0)
    registers.words.update(dict.fromkeys(range(4000, 0x10000), 0))
    at = 2 + 68
    while at <= 0xFFFF - 1:
        registers.words.update({at: 17, at + 1: 4094})
        at += 4096
    with pytest.raises(WrongDeviceError, match="runs beyond the last register"):
        walked(registers, (0,))


def test_a_chain_without_a_common_model_is_no_device() -> None:
    with pytest.raises(WrongDeviceError, match="no common model"):
        walked(device(STORAGE))


def test_a_mark_with_nothing_behind_it_is_no_device() -> None:
    with pytest.raises(WrongDeviceError, match="it holds nothing"):
        walked(ToldRegisters(SUNS))


def test_a_failure_of_the_device_amid_its_chain_is_no_end() -> None:
    registers = device(common(), STORAGE, end=())
    registers.exception = 4
    with pytest.raises(DeviceFailureError):
        walked(registers, (40000,))
