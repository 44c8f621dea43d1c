"""Which seconds of which device are excused, and why: what was wrong with the device or with the control cell. Pure."""

from __future__ import annotations

import bisect
from collections.abc import Iterable
from typing import NamedTuple

from bessai.campaign.record import Done, Record
from bessai.campaign.served import Lie
from bessai.campaign.step import Order, Signal
from bessai.campaign.terms import Terms
from bessai.simulator.director import FaultRecord
from bessai.simulator.faults import VALUE_KINDS, Fault, FaultKind

NS = 1_000_000_000
_ENDLESS_NS = 1 << 62
_CONTROL_ACTORS = ("safety", "watchdog")


class Span(NamedTuple):
    """A time in which an answer cannot be asked for, with what follows from its cause."""

    began_ns: int
    ended_ns: int
    device: str
    """Empty: all devices."""


class Excuses:
    """The union of some spans."""

    def __init__(self, spans: Iterable[Span]) -> None:
        """Merge what overlaps."""
        self._begins: list[int] = []
        self._ends: list[int] = []
        for span in sorted(spans):
            if self._ends and span.began_ns <= self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], span.ended_ns)
            else:
                self._begins.append(span.began_ns)
                self._ends.append(span.ended_ns)

    def touch(self, from_ns: int, to_ns: int) -> bool:
        """Tell whether any moment from `from_ns` to `to_ns` is excused."""
        place = bisect.bisect_right(self._begins, to_ns) - 1
        return place >= 0 and self._ends[place] >= from_ns


def excuses_of(record: Record) -> dict[str, Excuses]:
    """Return the excuses of every device of `record`."""
    spans = [*_wire_spans(record), *_gateway_spans(record)]
    return {
        device: Excuses(span for span in spans if span.device in {"", device})
        for device in record.truths
    }


def lies_of(record: Record) -> dict[str, list[Lie]]:
    """Return the faults of values of every device of `record`."""
    found: dict[str, list[Lie]] = {device: [] for device in record.truths}
    for device, began_ns, ended_ns, fault in _lasting(record.faults):
        if fault.kind in VALUE_KINDS and device in found:
            found[device].append(Lie(began_ns, ended_ns, fault))
    return found


def _lasting(faults: Iterable[FaultRecord]) -> list[tuple[str, int, int, Fault]]:
    """Return device, beginning, end and fault of each that began; one that never ended lasts for good."""
    begun: dict[tuple[str, str], FaultRecord] = {}
    found: list[tuple[str, int, int, Fault]] = []
    for each in faults:
        match each.event:
            case "begins":
                begun[each.device, each.name] = each
            case "ends" if (first := begun.pop((each.device, each.name), None)) is not None:
                found.append((each.device, first.mono_ns, each.mono_ns, first.fault))
            case _:
                pass
    found += [(each.device, each.mono_ns, _ENDLESS_NS, each.fault) for each in begun.values()]
    return found


def _wire_spans(record: Record) -> list[Span]:
    tail_s = record.terms.reconnect_s
    return [
        Span(began_ns, ended_ns + int((tail_s + _late_s(fault)) * NS), device)
        for device, began_ns, ended_ns, fault in _lasting(record.faults)
        if fault.kind not in VALUE_KINDS and fault.kind is not FaultKind.FOREIGN_WRITES
    ]


def _late_s(fault: Fault) -> float:
    """Return by how much an answer that was begun under `fault` may come after its end."""
    late = {FaultKind.SLOW, FaultKind.LATENCY, FaultKind.JITTER, FaultKind.SPLIT, FaultKind.MERGED}
    return fault.delay_s if fault.kind in late else 0.0


def _gateway_spans(record: Record) -> list[Span]:
    root = [
        done
        for done in record.done
        if isinstance(done.step.what, Signal) and done.step.what.cell == "root"
    ]
    spans = [_span(done, record.terms) for done in record.done if not done.refused]
    return [_without_root(span, root, record.terms) for span in spans if span is not None]


def _span(done: Done, terms: Terms) -> Span | None:
    match done.step.what:
        case Order(actor=actor) if actor in _CONTROL_ACTORS:
            device, tail_s = "", terms.restarted_s
        case Order(actor=actor) if actor.startswith("inverter/"):
            device, tail_s = actor.removeprefix("inverter/"), terms.restarted_s
        case Signal(cell="control"):
            device, tail_s = "", terms.replaced_s
        case _:
            return None
    return Span(done.began_ns, done.ended_ns + int(tail_s * NS), device)


def _without_root(span: Span, stops: list[Done], terms: Terms) -> Span:
    """While root is stopped nobody replaces a cell: what then happens to one lasts until root goes on."""
    for stop in stops:
        if stop.began_ns <= span.ended_ns and span.began_ns <= stop.ended_ns:
            ended_ns = max(span.ended_ns, stop.ended_ns + int(terms.replaced_s * NS))
            span = span._replace(ended_ns=ended_ns)
    return span
