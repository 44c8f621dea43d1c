"""The limit of open files is raised as far as needed, or named."""

import resource

import pytest

from bessai.simulator.descriptors import TooFewDescriptorsError, allow_sockets


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """What the process sets, beginning with 256 of at most 1000."""
    said = [(256, 1000)]

    def put(_kind: int, pair: tuple[int, int]) -> None:
        said.append(pair)

    monkeypatch.setattr(resource, "getrlimit", lambda _kind: said[-1])
    monkeypatch.setattr(resource, "setrlimit", put)
    return said


def test_a_few_ports_need_no_more_than_there_is(limits: list[tuple[int, int]]) -> None:
    assert allow_sockets(3) == 256
    assert limits == [(256, 1000)]


def test_the_limit_is_raised_as_far_as_needed(limits: list[tuple[int, int]]) -> None:
    assert allow_sockets(200) == 864
    assert limits[-1] == (864, 1000)


def test_more_than_the_system_allows_is_named_with_the_fix(limits: list[tuple[int, int]]) -> None:
    with pytest.raises(TooFewDescriptorsError, match=r"1000 ports need up to 4064.*ulimit -n 4064"):
        allow_sockets(1000)
    assert len(limits) == 1
