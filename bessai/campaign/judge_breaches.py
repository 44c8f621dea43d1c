"""Rule B: no unanswered breach. A stopwatch runs while a breach could be seen and answered. Pure."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterator
from typing import NamedTuple

from bessai.campaign.case import Case
from bessai.campaign.excuse import NS
from bessai.campaign.offence import Offence, Tally
from bessai.campaign.record import Truth
from bessai.campaign.served import Served, closed
from bessai.campaign.step import Kind
from bessai.campaign.terms import Terms
from bessai.simulator.director import FOREIGN

_STEP_S = 1.0
"""How much later than its countdown a device may be: its physics goes in steps, more slowly on a busy machine."""


def judge_breaches(case: Case, tally: Tally) -> Iterator[Offence]:
    """Yield every breach that was not answered in time; `tally` is brought up to date."""
    court = _Court(case, tally)
    breach: list[Truth] = []
    for truth in case.truths:
        goes_on = is_breach(truth, case.terms)
        if breach and not (goes_on and breach[-1].forced_mode == truth.forced_mode):
            yield from court.judge(breach)
            breach = []
        if goes_on:
            breach.append(truth)
    if breach:
        yield from court.judge(breach)


def is_breach(truth: Truth, terms: Terms) -> bool:
    """Tell whether a battery is beyond a limit and forced to move in the direction that is dangerous there."""
    if not _moves(truth.forced_mode, truth.battery_power_w, terms):
        return False
    at_rest = Served(truth.soc_pct, truth.temperature_c, 0.0, math.inf, math.inf)
    return truth.forced_mode in closed(at_rest, terms)


def _moves(forced_mode: int, power_w: float, terms: Terms) -> bool:
    """Tell whether a battery moves in the direction of its forced command."""
    if forced_mode not in set(Kind):
        return False
    return (power_w if forced_mode == Kind.CHARGE else -power_w) > terms.deadband_w


class _Court:
    """Judges the breaches of one device, one direction at a time."""

    def __init__(self, case: Case, tally: Tally) -> None:
        self._case = case
        self._tally = tally
        self._countdown = _Countdown(case)
        self._answers = {kind: _times(case, {0, _other(kind)}) for kind in Kind}
        """When the gateway ended what is forced in a direction, by a stop or by the other direction."""
        self._set_points = {kind: _times(case, {_other(kind)}) for kind in Kind}

    def judge(self, breach: list[Truth]) -> Iterator[Offence]:
        """Yield what is wrong with the answer to `breach`."""
        runs = list(self._runs(breach))
        overridden = [run for run in runs if run.overrides]
        plain_s = max((run.lasted_s for run in runs if not run.overrides), default=0.0)
        self._tally.breaches += 1
        self._tally.clear_breaches += sum(run.truths for run in runs) == len(breach)
        self._tally.disguised_breaches += bool(overridden)
        self._tally.longest_clear_s = max(self._tally.longest_clear_s, plain_s)
        for run in runs:
            terms = self._case.terms
            if run.lasted_s > (terms.disguised_s if run.overrides else terms.answer_s):
                detail = f"unanswered for {run.lasted_s:.2f} s with nothing wrong"
                yield _offence("B1 answer", breach, (run.since_ns, run.until_ns), detail)
        late_s = self._countdown.late_s(breach[-1].mono_ns)
        if late_s > 0:
            span = (breach[0].mono_ns, breach[-1].mono_ns)
            yield _offence(
                "B2 countdown", breach, span, f"{late_s:.2f} s after the countdown ended"
            )

    def _runs(self, breach: list[Truth]) -> Iterator[_Run]:
        """Yield each run of the stopwatch: times in which the breach is seen, nothing is wrong, and nobody answers."""
        kind = Kind(breach[0].forced_mode)
        run: _Run | None = None
        for truth in breach:
            now_ns = truth.mono_ns
            if not _is_seen(self._case, truth) or self._case.excuses.touch(now_ns, now_ns):
                if run is not None:
                    yield run
                run = None
                continue
            answered_ns = _last(self._answers[kind], now_ns)
            if run is None or answered_ns > run.since_ns:
                if run is not None:
                    yield run
                since_ns = answered_ns if run is not None else max(answered_ns, now_ns)
                forced_ns = max(answered_ns, breach[0].mono_ns)
                run = _Run(since_ns, since_ns, 0.0, 0, overrides=self._overrides(kind, forced_ns))
            lasted_s = (now_ns - run.since_ns) / NS - self._case.lost_s(run.since_ns, now_ns)
            run = run._replace(until_ns=now_ns, lasted_s=lasted_s, truths=run.truths + 1)
        if run is not None:
            yield run

    def _overrides(self, kind: Kind, forced_ns: int) -> bool:
        """Tell whether a set-point in the other direction had just begun, so that no poll may have seen it work."""
        begun_ns = _last(self._set_points[kind], forced_ns)
        since_s = (forced_ns - begun_ns) / NS - self._case.lost_s(begun_ns, forced_ns)
        return since_s <= 2 * self._case.terms.poll_s


class _Run(NamedTuple):
    """One run of the stopwatch."""

    since_ns: int
    until_ns: int
    lasted_s: float
    truths: int
    overrides: bool
    """Whether what is forced was so just after a set-point in the other direction had begun."""


def _is_seen(case: Case, truth: Truth) -> bool:
    """Tell whether what was served shows the breach: the direction closed, and the battery moving in it."""
    seen = case.seen(truth)
    if truth.forced_mode not in closed(seen, case.terms):
        return False
    power_w = seen.battery_power_w
    return power_w is None or _moves(truth.forced_mode, power_w, case.terms)


def _other(kind: Kind) -> Kind:
    return Kind.DISCHARGE if kind is Kind.CHARGE else Kind.CHARGE


def _times(case: Case, modes: set[int]) -> list[int]:
    """Return when the gateway set the forced command to one of `modes`, and was heard."""
    return [
        write.mono_ns
        for write in case.writes
        if write.client != FOREIGN
        and write.result == "ok"
        and write.values.get("forced_mode") in modes
    ]


def _last(times_ns: list[int], now_ns: int) -> int:
    """Return the last of `times_ns` until `now_ns`, or 0."""
    place = bisect.bisect_right(times_ns, now_ns)
    return times_ns[place - 1] if place else 0


class _Countdown:
    """When the device itself ends what was forced last."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._begun: list[tuple[int, float]] = []
        minutes = math.inf
        for write in case.writes:
            if write.result == "ok":
                minutes = write.values.get("forced_period_min", minutes)
                if write.values.get("forced_mode") in set(Kind):
                    self._begun.append((write.mono_ns, minutes))

    def late_s(self, now_ns: int) -> float:
        """Return by how much `now_ns` is after the end of the countdown; nothing where it is not known."""
        place = bisect.bisect_right(self._begun, (now_ns, math.inf))
        if not place:
            return 0.0
        began_ns, minutes = self._begun[place - 1]
        lasts_s = minutes * self._case.terms.countdown_s_per_min + _STEP_S
        return (now_ns - began_ns) / NS - lasts_s - self._case.lost_s(began_ns, now_ns)


def _offence(rule: str, breach: list[Truth], span: tuple[int, int], detail: str) -> Offence:
    first = breach[0]
    direction = Kind(first.forced_mode).name.lower()
    return Offence(
        rule=rule,
        device=first.device,
        from_ns=span[0],
        to_ns=span[1],
        detail=f"{detail}: {direction} at {first.battery_power_w:.0f} W, SOC {first.soc_pct:.1f} %,"
        f" {first.temperature_c:.1f} degC",
    )
