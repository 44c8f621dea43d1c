from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors.watchdog.config import WatchdogConfig
from actors.watchdog.progress import EVALUATIONS_NAME, Heard, judge, pulse
from supervision.clock import NS_PER_S
from supervision.events import ActorReport, CellReport, SiteReport, State

CONFIG = WatchdogConfig(cell="control", critical=("safety", "inverter/a"))
NOW_NS = 1000 * NS_PER_S


def _ago(seconds: float) -> int:
    return NOW_NS - int(seconds * NS_PER_S)


def _site(**progress_s_ago: float) -> SiteReport:
    ages = {"safety": 0.1, "inverter/a": 0.2} | progress_s_ago
    actors = tuple(
        ActorReport(name=name, state=State.RUNNING, epoch=1, completed=5, progress_ns=_ago(seconds))
        for name, seconds in ages.items()
    )
    cell = CellReport(name="control", kind="critical", state=State.RUNNING, actors=actors)
    stranger = CellReport(name="api", kind="degradable", state=State.RUNNING)
    return SiteReport(mono_ns=NOW_NS, started_ns=0, cells=(stranger, cell))


def _heard(site: SiteReport | None = None, **changes: Any) -> Heard:
    heard = Heard(
        since_ns=_ago(60),
        site=site or _site(),
        site_ns=_ago(0.3),
        evaluations=99,
        evaluated_ns=_ago(1),
    )
    return msgspec.structs.replace(heard, **changes)


def test_progress_of_everybody_is_progress() -> None:
    report = judge(_heard(), CONFIG, NOW_NS)

    assert report.progressing
    assert report.late == ()
    assert report.evaluations == 99
    assert {actor.name: round(actor.age_s, 1) for actor in report.actors} == {
        "safety": 0.1,
        "inverter/a": 0.2,
    }


def test_a_critical_actor_without_progress_is_late() -> None:
    report = judge(_heard(_site(**{"inverter/a": 1.6})), CONFIG, NOW_NS)

    assert not report.progressing
    assert report.late == ("inverter/a",)


def test_an_actor_that_is_not_critical_holds_nobody_up() -> None:
    assert judge(_heard(_site(watchdog=99.0)), CONFIG, NOW_NS).progressing


def test_a_critical_actor_that_root_does_not_know_is_late() -> None:
    config = msgspec.structs.replace(CONFIG, critical=("inverter/z",))

    assert judge(_heard(), config, NOW_NS).late == ("inverter/z",)


def test_silence_of_root_is_told_as_such() -> None:
    report = judge(_heard(_site(safety=3.0), site_ns=_ago(2.1)), CONFIG, NOW_NS)

    assert not report.progressing
    assert report.late == ("root",)


def test_actors_that_progress_while_nothing_is_evaluated_are_no_progress() -> None:
    report = judge(_heard(evaluated_ns=_ago(2.6)), CONFIG, NOW_NS)

    assert not report.progressing
    assert report.late == (EVALUATIONS_NAME,)


def test_at_the_start_nobody_is_late_yet_but_there_is_no_progress_either() -> None:
    early = judge(Heard(since_ns=_ago(0.1)), CONFIG, NOW_NS)
    later = judge(Heard(since_ns=_ago(5)), CONFIG, NOW_NS)

    assert (early.progressing, early.late) == (False, ())
    assert (later.progressing, later.late) == (False, ("root", EVALUATIONS_NAME))


def test_an_actor_that_has_done_nothing_yet_is_as_old_as_the_wait_for_it() -> None:
    site = _site(safety=NOW_NS / NS_PER_S)

    (safety, _) = judge(_heard(site, since_ns=_ago(0.5)), CONFIG, NOW_NS).actors

    assert safety.age_s == 0.5


@pytest.mark.parametrize(
    "changes",
    [
        {"critical": ()},
        {"report_s": 5.0},
        {"progress_s": 0.0},
        {"evaluation_s": 60.0},
        {"site_report_s": float("nan")},
    ],
)
def test_a_watchdog_that_would_watch_nothing_is_refused(changes: dict[str, Any]) -> None:
    (field,) = changes

    with pytest.raises(ValueError, match=f"watchdog.{field} = .* is not allowed"):
        msgspec.structs.replace(CONFIG, **changes)


def _lived(*sites: tuple[float, SiteReport]) -> Heard:
    """Return what is known after hearing each site so many seconds ago."""
    heard = _heard()
    for ago_s, site in sites:
        heard = heard.hear_site(site, CONFIG.cell, _ago(ago_s))
    return heard


def _pulse(heard: Heard) -> tuple[bool, str]:
    told = pulse(judge(heard, CONFIG, NOW_NS), heard, CONFIG)
    return told.progressing, told.status


def _replaced(site: SiteReport, **changes: Any) -> SiteReport:
    """Return `site` with something else said of SafetyActor."""
    (stranger, cell) = site.cells
    first, *others = cell.actors
    actors = (msgspec.structs.replace(first, **changes), *others)
    cells = (stranger, msgspec.structs.replace(cell, actors=actors))
    return msgspec.structs.replace(site, cells=cells)


def test_a_kick_is_earned_when_all_progress_and_have_settled() -> None:
    assert _pulse(_lived((1.0, _site()), (0.1, _site()))) == (True, "every battery is watched")


def test_no_kick_is_earned_while_somebody_is_late() -> None:
    heard = _lived((5.0, _site()), (0.1, _site(**{"inverter/a": 1.6})))

    assert _pulse(heard) == (False, "waiting for inverter/a")


@pytest.mark.parametrize("changes", [{"epoch": 2}, {"state": State.BACKING_OFF}])
def test_no_kick_is_earned_until_who_was_replaced_has_run_for_a_while(
    changes: dict[str, Any],
) -> None:
    fresh = _replaced(_site(), **changes)

    assert _pulse(_lived((5.0, _site()), (0.9, fresh))) == (False, "waiting for safety")
    assert _pulse(_lived((5.0, _site()), (1.0, fresh), (0.1, fresh)))[0] == ("epoch" in changes)


def test_an_actor_that_hangs_again_and_again_never_earns_a_kick() -> None:
    lives = [(9.0 - 0.6 * n, _replaced(_site(), epoch=n)) for n in range(15)]

    assert _pulse(_lived(*lives)) == (False, "waiting for safety")


def test_at_the_start_no_kick_is_earned() -> None:
    assert not _pulse(Heard(since_ns=_ago(0.1)))[0]
