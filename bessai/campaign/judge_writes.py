"""Rule A: no write of forced power by the gateway outside limits, or into a closed direction. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator

from bessai.campaign.case import Case
from bessai.campaign.excuse import NS
from bessai.campaign.offence import Offence, Tally
from bessai.campaign.served import Served, closed, trips
from bessai.campaign.step import Kind
from bessai.simulator.director import FOREIGN
from bessai.simulator.record import WriteRecord

_POWERS = {"forced_charge_power_w": Kind.CHARGE, "forced_discharge_power_w": Kind.DISCHARGE}
_WRITTEN = {*_POWERS, "forced_mode", "forced_setting_mode", "forced_period_min"}
"""All that the gateway has to write at all."""


def judge_writes(case: Case, tally: Tally) -> Iterator[Offence]:
    """Yield every offence among the gateway's writes; `tally` is brought up to date."""
    tripped_ns = _tripped_ns(case)
    for write in case.writes:
        if write.client == FOREIGN:
            continue
        tally.writes += 1
        yield from _judge_values(case, write)
        for kind in sorted(_forces(write)):
            tally.forced_writes += 1
            yield from _judge_direction(case, write, kind, tally)
            if write.mono_ns > tripped_ns:
                yield _offence("A5 trip", write, "power is forced after a trip")


def _forces(write: WriteRecord) -> set[Kind]:
    """Return the directions that `write` forces, or prepares to."""
    found = {kind for name, kind in _POWERS.items() if write.values.get(name, 0) > 0}
    mode = write.values.get("forced_mode", 0)
    return found | ({Kind(int(mode))} if mode in set(Kind) else set())


def _judge_values(case: Case, write: WriteRecord) -> Iterator[Offence]:
    terms = case.terms
    limits = {
        "forced_charge_power_w": terms.max_charge_w,
        "forced_discharge_power_w": terms.max_discharge_w,
        "forced_period_min": terms.deadman_min,
        "forced_setting_mode": 0,  # 1 has no countdown
        "forced_mode": max(Kind),
    }
    for name, value in write.values.items():
        if name in limits and not value <= limits[name]:
            yield _offence("A1 limit", write, f"{name} = {value:g}, limit {limits[name]:g}")
    strange = sorted(set(write.values) - _WRITTEN)
    if strange or not write.values:
        yield _offence(
            "A4 register", write, f"{strange or write.address} is not the gateway's to write"
        )


def _judge_direction(case: Case, write: WriteRecord, kind: Kind, tally: Tally) -> Iterator[Offence]:
    """Judge a write against all that its grounds may have been: what was served lately."""
    terms, now_ns = case.terms, write.mono_ns
    memory_ns = int(terms.memory_s * NS)
    clear = not case.excuses.touch(now_ns - memory_ns, now_ns)
    tally.clear_writes += clear
    reach_s = terms.answer_s if clear else terms.memory_s
    reach_s += case.lost_s(now_ns - memory_ns, now_ns)
    known = [case.seen(truth) for truth in case.window(now_ns - int(reach_s * NS), now_ns)]
    if not known:
        return
    if all(kind in closed(seen, terms) for seen in known):
        yield _offence(
            "A3 direction",
            write,
            f"{kind.name.lower()} has been closed for {reach_s:.1f} s: {known[-1]}",
        )
    most_w = max(_limit_w(seen, kind) for seen in known)
    for name, direction in _POWERS.items():
        power_w = write.values.get(name, 0.0)
        if direction is kind and power_w > most_w:
            yield _offence(
                "A2 device limit",
                write,
                f"{name} = {power_w:g} W, the device told {most_w:g} W at most in {reach_s:.1f} s",
            )


def _limit_w(seen: Served, kind: Kind) -> float:
    """Return the device's own limit as served; infinite where the judge cannot tell."""
    limit_w = seen.max_charge_w if kind is Kind.CHARGE else seen.max_discharge_w
    if limit_w is None:
        return 0.0
    return math.inf if math.isnan(limit_w) else limit_w


def _tripped_ns(case: Case) -> float:
    """Return from when on the gateway must have latched a trip, or infinity."""
    since_ns: int | None = None
    for truth in case.truths:
        if not trips(case.seen(truth), case.terms) or case.excuses.touch(
            truth.mono_ns, truth.mono_ns
        ):
            since_ns = None
            continue
        since_ns = truth.mono_ns if since_ns is None else since_ns
        lost_s = case.lost_s(since_ns, truth.mono_ns)
        if (truth.mono_ns - since_ns) / NS - lost_s > case.terms.answer_s:
            return truth.mono_ns
    return math.inf


def _offence(rule: str, write: WriteRecord, detail: str) -> Offence:
    return Offence(
        rule=rule,
        device=write.device,
        from_ns=write.mono_ns,
        to_ns=write.mono_ns,
        detail=f"{detail} (write {write.index} at register {write.address}, {write.result})",
    )
