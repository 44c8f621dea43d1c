"""Who may ask for battery power in whose name, and who goes before whom: data, and nothing else."""

from __future__ import annotations

import msgspec

from actors.messages import API, CLOUD, DISPATCHER, OPERATOR, PUBLISHER


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody in whose name set-points are asked for."""

    name: str
    priority: int
    """A larger number goes before a smaller one."""
    sender: str
    """The only actor that may ask in this name: the address in the envelope, which no other actor can write."""


SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        Source(name=OPERATOR, priority=30, sender=API),
        Source(name=CLOUD, priority=20, sender=PUBLISHER),
        Source(name=DISPATCHER, priority=10, sender=DISPATCHER),
    )
}
"""Resets are asked for as an operator: the API reaches them, and says which role they have."""


def why_not_entitled(sender: str, source: str) -> str:
    """Return why `sender` may not ask in the name of `source`; empty if it may."""
    known = SOURCES.get(source)
    if known is None:
        return f"source {source!r} is not known: there are {', '.join(SOURCES)}"
    if known.sender != sender:
        return f"{sender} may not ask in the name of {source!r}: only {known.sender} may"
    return ""
