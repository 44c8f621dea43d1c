from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from actors.publisher.history_store import HistoryStore
from actors.publisher.series import Reading
from bessai.cli import main
from bessai.exit_codes import MISUSED, UNUSABLE
from supervision.clock import NS_PER_S

NOON_S = 1_767_268_800  # 2026-01-01T12:00:00Z


def _run(state: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["history", *arguments, "--state-dir", str(state)])


@pytest.fixture
def state(tmp_path: Path) -> Path:
    store = HistoryStore(tmp_path / "history.db", quota_bytes=1 << 24)
    readings = [
        Reading(1, n, (NOON_S + n) * NS_PER_S, {"soc_pct": 50.0 + n, "power_w": -1.0})
        for n in range(4)
    ]
    body = b'{"kind": "safety_event", "event": "began", "rule": "soc_low", "detail": "4 %"}'
    store.add({"b1": readings}, [("S/e", "b1", NOON_S * NS_PER_S, body)])
    store.close()
    return tmp_path


def test_the_points_of_a_device_are_listed(state: Path) -> None:
    assert _run(state, "b1").output == "power_w\nsoc_pct\n"


def test_values_are_printed_for_each_stretch_of_time(state: Path) -> None:
    span = ("--from", "2026-01-01T12:00:00", "--to", "2026-01-01T12:01:00+00:00")

    lines = _run(state, "b1", "soc_pct", *span, "--every", "2s").output.splitlines()

    assert [line.split() for line in lines[1:]] == [
        ["2026-01-01T12:00:00Z", "2", "50", "50.5", "51"],
        ["2026-01-01T12:00:02Z", "2", "52", "52.5", "53"],
    ]


def test_values_are_also_json_and_times_may_be_relative(state: Path) -> None:
    ago = f"{int(time.time()) - NOON_S + 60}s"

    (line,) = _run(state, "b1", "soc_pct", "--from", ago, "--every", "1h", "--json").output.split(
        "\n"
    )[:-1]

    assert json.loads(line)["samples"] == 4


def test_events_are_printed(state: Path) -> None:
    shown = _run(state, "b1", "--events", "--from", "2026-01-01").output

    assert shown == "2026-01-01T12:00:00Z safety_event began soc_low 4 %\n"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("b2",), UNUSABLE, "has nothing of 'b2'"),
        (("b1", "soc_pct", "--from", "1s"), UNUSABLE, "in that time"),
        (("b1", "soc_pct", "--from", "noon"), MISUSED, "--from 'noon' is not allowed"),
        (("b1", "soc_pct", "--every", "5"), MISUSED, "--every '5' is not allowed"),
        (("b1", "soc_pct", "--every", "0s"), MISUSED, "more than 0s"),
    ],
)
def test_what_cannot_be_answered_is_said(
    state: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    shown = _run(state, *arguments)

    assert (shown.exit_code, said in shown.output) == (code, True)


def test_a_missing_history_is_said(tmp_path: Path) -> None:
    assert "there is no history" in _run(tmp_path, "b1").output
