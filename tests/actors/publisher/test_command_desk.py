from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from actors.messages import SAFETY, Ruling, SetpointAnswer, SetpointRequest
from actors.publisher.command_config import CommandPath, CommandsConfig
from actors.publisher.command_desk import ANSWER_NS, REFUSALS_PER_MIN, CommandDesk
from actors.publisher.record import Record, RecordLane
from supervision.clock import NS_PER_S, ManualClock
from supervision.envelope import Lane
from tests.actors.fakes import RecordingContext
from tests.actors.publisher.orders import NOW_NS, command_key, signed


class Bench:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = ManualClock(wall_ns=NOW_NS)
        self.config = CommandsConfig(via=CommandPath.MQTT, keys=(command_key(directory),))
        self.restart()

    def restart(self) -> None:
        self.context = RecordingContext("publisher", clock=self.clock)
        self.desk = CommandDesk(self.config, "S", str(self.directory), self.context)

    def requests(self) -> list[SetpointRequest]:
        return self.context.messages(SetpointRequest, SAFETY)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def _said(records: list[Record]) -> dict[str, Any]:
    (record,) = records
    assert record.lane is RecordLane.EVENT
    body: dict[str, Any] = json.loads(record.body)
    return body


def test_a_genuine_request_is_put_to_safety_as_from_the_cloud(bench: Bench) -> None:
    assert bench.desk.hear(signed(1)) == []

    (request,) = bench.requests()
    assert (request.device_id, request.power_w, request.ttl_s) == ("b1", -500.0, 60.0)
    assert (request.source, request.seq) == ("cloud", 1)
    assert bench.context.sent[0].lane is Lane.CONTROL


def test_what_safety_answers_is_published_under_the_askers_name(bench: Bench) -> None:
    bench.desk.hear(signed(9))
    answer = SetpointAnswer(
        device_id="b1", seq=1, ruling=Ruling.CLAMPED, power_w=-300.0, rule="limit", detail="300 W"
    )

    said = _said(bench.desk.answer(answer))

    assert (said["command_id"], said["command_seq"], said["key_id"]) == ("c9", 9, "ems")
    assert (said["ruling"], said["power_w"], said["rule"]) == ("clamped", -300.0, "limit")
    assert bench.desk.answer(answer) == []


def test_a_request_is_refused_when_it_comes_again_also_after_a_restart(bench: Bench) -> None:
    bench.desk.hear(signed(1))
    assert _said(bench.desk.hear(signed(1)))["ruling"] == "replayed"

    bench.restart()

    assert _said(bench.desk.hear(signed(1)))["ruling"] == "replayed"
    assert bench.requests() == []


def test_numbers_towards_safety_rise_though_keys_have_their_own(bench: Bench) -> None:
    bench.desk.hear(signed(50))
    bench.desk.hear(signed(60))

    assert [request.seq for request in bench.requests()] == [1, 2]


def test_a_request_whose_number_cannot_be_kept_is_not_passed_on(bench: Bench) -> None:
    (bench.directory / "commands.new").mkdir()

    said = _said(bench.desk.hear(signed(1)))

    assert (said["ruling"], said["rule"]) == ("denied", "ledger")
    assert bench.requests() == []


def test_silence_of_safety_is_told(bench: Bench) -> None:
    bench.desk.hear(signed(1))
    assert bench.desk.overdue() == []
    bench.clock.advance(ANSWER_NS / NS_PER_S)

    assert _said(bench.desk.overdue())["ruling"] == "unanswered"
    assert bench.desk.overdue() == []


def test_a_jump_of_the_clock_plays_nothing_again(bench: Bench) -> None:
    bench.desk.hear(signed(1))
    bench.clock.jump_wall(3600.0)
    assert _said(bench.desk.hear(signed(2)))["ruling"] == "expired"
    bench.clock.jump_wall(-3600.0)

    assert _said(bench.desk.hear(signed(1)))["ruling"] == "replayed"


def test_a_flood_of_nonsense_is_counted_and_not_published(bench: Bench) -> None:
    published = [bench.desk.hear(b"nonsense") for _ in range(10 * REFUSALS_PER_MIN)]
    assert len([records for records in published if records]) == REFUSALS_PER_MIN
    bench.clock.advance(60.0)

    detail = _said(bench.desk.hear(b"nonsense"))["detail"]

    assert detail.endswith(f"{9 * REFUSALS_PER_MIN} more were refused before")
