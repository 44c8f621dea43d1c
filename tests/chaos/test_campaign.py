"""A slice of the random campaign: the same steps every time, and others each time."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bessai.campaign.command import complaint, how_to_repeat
from bessai.campaign.judge import judge
from bessai.campaign.plan import plan
from bessai.campaign.record import Campaign, read_record
from bessai.campaign.runner import run
from bessai.campaign.step import shifted

DEVICES = 16
PAUSE_S = 0.045
FIXED_SEED, FIXED_STEPS = 1296, 140
"""Steps in which control itself suffers nothing, and fourteen breaches last long enough to be late if unanswered."""
ROTATING_STEPS = 60

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(180)]


def test_a_random_campaign_leaves_no_breach_unanswered_and_no_write_outside_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    directory = Path("record")  # as the command names it: beside where it was started
    rotating = time.time_ns() % 1_000_000
    first = plan(FIXED_SEED, steps=FIXED_STEPS, devices=DEVICES, pause_s=PAUSE_S)
    second = plan(rotating, steps=ROTATING_STEPS, devices=DEVICES, pause_s=PAUSE_S)
    steps = (*first, *shifted(second, by_s=first[-1].at_s, first=len(first)))
    campaign = Campaign(seed=f"{FIXED_SEED} and {rotating}", devices=DEVICES, steps=steps)

    run(campaign, directory)

    record = read_record(directory)
    found = judge(record)
    assert found.offences == [], complaint(found, record, directory)
    assert len(record.done) == len(steps), how_to_repeat(directory)
    assert min(found.tally.breaches, found.tally.forced_writes, found.tally.clear_breaches) > 0
    assert not (directory / directory).exists(), "a relative path was taken from where its file is"
    assert "prices refused" not in (directory / "gateway.log").read_text(encoding="utf-8")
