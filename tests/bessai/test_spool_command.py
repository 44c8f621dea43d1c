from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from actors.publisher.dead import DeadLetter
from actors.publisher.record import Record, RecordLane
from actors.publisher.spool import Spool
from actors.safety.statedir import lock_state_dir
from bessai.cli import main
from bessai.exit_codes import FAILED, MISUSED, UNUSABLE

MB = 1 << 20


def _sample(seq: int) -> Record:
    body = {"values": {"soc_pct": 50.5}, "quality": {"power_w": "missing"}}
    wall_ns = 1_700_000_000_000_000_000 + seq
    return Record(
        "sample", "b1", f"S/{seq}", wall_ns, json.dumps(body).encode(), RecordLane.TELEMETRY, 5, seq
    )


def _event() -> Record:
    return Record("safety_event", "b1", "S/e", 1, b'{"rule": "soc"}', RecordLane.EVENT, 5, 1)


def _run(state: Path, *arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["spool", *map(str, arguments), "--state-dir", str(state)])


def _store(state: Path, records: Sequence[Record], *dead: Record, quota: int = MB) -> None:
    spool = Spool(state / "spool.db", quota_bytes=quota)
    spool.commit(records, dead=[DeadLetter("too large", record) for record in dead])
    spool.close()


def test_status_tells_what_waits_and_names_what_was_lost(tmp_path: Path) -> None:
    _store(tmp_path, [_event(), _sample(1)], _sample(9))
    _store(tmp_path, [_sample(n) for n in range(2, 5)], quota=900)

    shown = _run(tmp_path, "status").output

    assert "waiting: 1 event(s), 0 sample(s)" in shown
    assert "dead letters: 1" in shown
    assert "lost: 4 sample(s) of b1 (epoch 5, numbers 1 to 4) from 2023-11-14T22:13:20" in shown


def test_status_is_also_one_json_object(tmp_path: Path) -> None:
    _store(tmp_path, [_sample(1)])

    status = json.loads(_run(tmp_path, "status", "--json").output)

    assert (status["waiting_samples"], status["dead"], status["lost"]) == (1, 0, [])


def test_an_export_has_a_line_for_each_value_and_the_spool_keeps_all(tmp_path: Path) -> None:
    _store(tmp_path, [_event(), _sample(1), _sample(2)])

    assert "3 record(s) written" in _run(tmp_path, "export", tmp_path / "out.csv").output

    with (tmp_path / "out.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert [(line["kind"], line["point"], line["value"], line["quality"]) for line in lines] == [
        ("safety_event", "", "", ""),
        ("sample", "soc_pct", "50.5", ""),
        ("sample", "power_w", "", "missing"),
        ("sample", "soc_pct", "50.5", ""),
        ("sample", "power_w", "", "missing"),
    ]
    assert "2 sample(s)" in _run(tmp_path, "status").output


def test_parquet_says_the_same(tmp_path: Path) -> None:
    _store(tmp_path, [_event(), _sample(1)])

    _run(tmp_path, "export", "--format", "parquet", tmp_path / "out.parquet")

    table = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert [(line["point"], line["value"], line["seq"]) for line in table] == [
        ("", None, 1),
        ("soc_pct", 50.5, 1),
        ("power_w", None, 1),
    ]


def test_verify_finds_a_flipped_byte(tmp_path: Path) -> None:
    _store(tmp_path, [_sample(1)])
    assert "1 record(s) are sound, 0 damaged" in _run(tmp_path, "verify").output
    data = bytearray((tmp_path / "spool.db").read_bytes())
    data[data.index(b"soc_pct")] ^= 1
    (tmp_path / "spool.db").write_bytes(data)

    shown = _run(tmp_path, "verify")

    assert shown.exit_code == FAILED
    assert "0 record(s) are sound, 1 damaged" in shown.output


def test_dead_letters_are_sent_again_on_request(tmp_path: Path) -> None:
    _store(tmp_path, [], _sample(1), _sample(2))

    assert "2 dead letter(s) will be sent again" in _run(tmp_path, "replay", "--dead").output

    spool = Spool(tmp_path / "spool.db", quota_bytes=MB)
    assert (spool.waiting, spool.dead.count()) == (2, 0)
    counted = spool.tally
    spool.close()
    assert Spool(tmp_path / "spool.db", quota_bytes=MB).tally == counted


def test_what_is_sound_in_a_spool_that_was_set_aside_is_carried_over(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    for start in range(0, 3_000, 100):
        _store(tmp_path / "old", [_sample(n) for n in range(start, start + 100)])
    aside = tmp_path / "spool.db.set-aside-20260101T000000Z"
    data = bytearray((tmp_path / "old" / "spool.db").read_bytes())
    page = data.index(b"\x28\xb5\x2f\xfd") // 4096  # one that holds compressed blocks
    data[page * 4096 : (page + 1) * 4096] = bytes(4096)
    aside.write_bytes(data)
    _store(tmp_path, [])

    shown = _run(tmp_path, "replay", aside)

    spool = Spool(tmp_path / "spool.db", quota_bytes=MB)
    assert f"{spool.waiting} record(s) of {aside} will be sent" in shown.output
    assert 1_000 <= spool.waiting < 3_000
    assert aside.read_bytes() == data


def test_a_running_gateways_spool_is_left_alone(tmp_path: Path) -> None:
    _store(tmp_path, [_sample(1)])
    with lock_state_dir(tmp_path):
        shown = _run(tmp_path, "status")

    assert shown.exit_code == UNUSABLE
    assert "in use by a running gateway" in shown.output
    assert "/metrics" in shown.output


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("status",), UNUSABLE, "there is no spool"),
        (("replay",), MISUSED, "say what to replay"),
    ],
)
def test_what_cannot_be_done_is_said(
    tmp_path: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    shown = _run(tmp_path, *arguments)

    assert (shown.exit_code, said in shown.output) == (code, True)
