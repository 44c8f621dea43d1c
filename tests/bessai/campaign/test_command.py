from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec
from click.testing import CliRunner, Result

from bessai.campaign.command import campaign
from bessai.campaign.plan import plan
from bessai.campaign.record import Campaign, Done, Record
from bessai.campaign.runner import save
from tests.bessai.campaign.records import record, truths, write

STEPS = plan(7, steps=5, devices=1, pause_s=1.0)


def _keep(kept: Record, directory: Path) -> None:
    """Write `kept` as simulator and runner do."""
    save(Campaign(seed="7", devices=1, terms=kept.terms, steps=STEPS), directory)
    done = [Done(step=STEPS[0], began_ns=kept.truths["d1"][0].mono_ns, ended_ns=0)]
    lines: dict[str, Sequence[msgspec.Struct]] = {
        "truth": kept.truths["d1"],
        "writes": kept.writes["d1"],
        "faults": kept.faults,
        "steps": done,
    }
    for name, of in lines.items():
        text = b"".join(msgspec.json.encode(each) + b"\n" for each in of)
        (directory / f"{name}.jsonl").write_bytes(text)


def _judge(directory: Path) -> Result:
    return CliRunner().invoke(campaign, ["--judge-only", str(directory)])


def test_a_good_record_is_judged_by_its_files_alone(tmp_path: Path) -> None:
    _keep(record(truths(), writes=[write(20.0, forced_mode=1)]), tmp_path)

    result = _judge(tmp_path)

    assert result.exit_code == 0
    assert "no unanswered breach, no write outside limits" in result.output
    assert re.search(r"of forced power: 1$", result.output, re.MULTILINE)


def test_a_failure_tells_seed_steps_record_seconds_and_how_to_repeat_them(tmp_path: Path) -> None:
    empty = {"soc_pct": 5.0, "battery_power_w": -1000.0, "forced_mode": 2}
    _keep(record(truths((10.0, 20.0, empty)), writes=[write(15.0, forced_mode=2)]), tmp_path)

    result = _judge(tmp_path)

    assert result.exit_code == 1
    assert "B1 answer: d1 at 10.00 to 19.90 s: unanswered for 9.90 s" in result.output
    assert "A3 direction: d1 at 15.00 to 15.00 s: discharge has been closed" in result.output
    assert f"seed 7; steps: {tmp_path / 'campaign.json'}; record: {tmp_path}" in result.output
    assert f"--replay {tmp_path / 'campaign.json'}" in result.output


def test_a_record_in_which_no_power_was_forced_proves_nothing(tmp_path: Path) -> None:
    _keep(record(truths(), writes=[write(20.0, forced_mode=0)]), tmp_path)

    result = _judge(tmp_path)

    assert result.exit_code == 1
    assert "the gateway forced no power: nothing is proved" in result.output
    assert "no unanswered breach" not in result.output
