"""Judges a campaign by its record alone, by the rules in docs/campaign.md. Pure."""

from __future__ import annotations

import itertools

from bessai.campaign.case import Case
from bessai.campaign.excuse import NS, excuses_of, lies_of
from bessai.campaign.judge_breaches import judge_breaches
from bessai.campaign.judge_writes import judge_writes
from bessai.campaign.offence import Judgement, Offence, Tally
from bessai.campaign.record import Record, Truth

_LONGEST_GAP_S = 10.0


def judge(record: Record) -> Judgement:
    """Return what `record` says against the gateway."""
    excuses, lies = excuses_of(record), lies_of(record)
    offences: list[Offence] = []
    tally = Tally()
    for device, truths in record.truths.items():
        case = Case(
            terms=record.terms,
            truths=truths,
            writes=record.writes.get(device, []),
            lies=lies[device],
            excuses=excuses[device],
        )
        lost_s = case.lost_s(truths[0].mono_ns, truths[-1].mono_ns)
        own = Tally(lost_s=lost_s)
        offences += [*judge_writes(case, own), *judge_breaches(case, own), *_gaps(truths)]
        tally.add(own)
    return Judgement(offences=sorted(offences, key=lambda each: each.from_ns), tally=tally)


def _gaps(truths: list[Truth]) -> list[Offence]:
    """Return the times of which nothing is known: a judge that has seen nothing must not acquit."""
    return [
        Offence(
            rule="C1 record",
            device=after.device,
            from_ns=before.mono_ns,
            to_ns=after.mono_ns,
            detail="the record has a gap: nothing can be judged",
        )
        for before, after in itertools.pairwise(truths)
        if after.mono_ns - before.mono_ns > _LONGEST_GAP_S * NS
    ]
