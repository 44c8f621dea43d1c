"""What arrived, held against what had been acknowledged. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from typing import Any, NamedTuple


class Verdict(NamedTuple):
    """What is wrong, and what may be."""

    missing: list[str]
    """Keys that were acknowledged and never arrived."""
    contradictions: list[str]
    """Keys that arrived with different contents."""
    duplicates: int
    """Arrivals beyond the first of their key."""
    arrivals: int
    strands: int
    """How many rising sequences the first sights of one device consist of: 1 is perfect order, 2 is what it takes to
    let live data overtake back-fill."""


def judge(messages: Iterable[Any], expected: Iterable[str]) -> Verdict:
    """Return the verdict on `messages` (Pub/Sub's, in order of arrival), of which `expected` must be there."""
    first: dict[str, bytes] = {}
    sights: dict[str, list[tuple[int, int]]] = {}
    contradictions: list[str] = []
    arrivals = 0
    for message in messages:
        arrivals += 1
        said = message.attributes
        key = said["dedupe_id"]
        if key not in first:
            first[key] = message.data
            sight = (int(said["epoch"]), int(said["seq"]))
            sights.setdefault(said["device_id"], []).append(sight)
        elif first[key] != message.data:
            contradictions.append(key)
    missing = [key for key in expected if key not in first]
    strands = max(map(strands_of, sights.values()), default=1)
    return Verdict(missing, contradictions, arrivals - len(first), arrivals, strands)


def strands_of(sights: Iterable[tuple[int, int]]) -> int:
    """Return the least number of rising sequences that `sights` can be dealt into (patience sorting)."""
    tops: list[
        tuple[int, int]
    ] = []  # of the sequences, largest first, negated so that bisect finds one that fits
    for epoch, seq in sights:
        wanted = (-epoch, -seq)
        index = bisect_left(tops, wanted)
        tops[index : index + 1] = [wanted]
    return len(tops)
