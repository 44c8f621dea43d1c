"""Notices when a device begins to refuse requests and when it has ceased to, so that both are told once: pure.

Every refusal is counted by its kind elsewhere, and the points concerned carry the reason; this is for the log.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from actors.inverter.errors import DeviceError, IllegalAddressError
from supervision.clock import NS_PER_S

CALM_NS = 10 * NS_PER_S
"""A kind of refusal has ceased when it was not met for this long."""


class Refusal(NamedTuple):
    """A kind of refusal that is met from now on, or no more."""

    kind: str
    reason: str
    """Of the first one; empty where it has ceased."""


class Refusals:
    """The kinds of refusal that the polls of one device meet now."""

    def __init__(self) -> None:
        """Begin with none."""
        self._met_ns: dict[str, int] = {}
        self._reasons: dict[str, str] = {}

    @property
    def trouble(self) -> str:
        """What is wrong with a device that refuses requests, in words; what it merely does not have is not."""
        reasons = [
            reason for kind, reason in self._reasons.items() if kind != IllegalAddressError.kind
        ]
        return f"requests are refused: {reasons[0]}" if reasons else ""

    def take(self, errors: Iterable[tuple[DeviceError, str]], now_ns: int) -> list[Refusal]:
        """Take the refusals of a poll, each with its reason; return what is to be told."""
        news: list[Refusal] = []
        for error, reason in errors:
            if error.kind not in self._met_ns:
                news.append(Refusal(error.kind, reason))
            self._met_ns[error.kind] = now_ns
            self._reasons[error.kind] = reason
        over = [kind for kind, met_ns in self._met_ns.items() if now_ns - met_ns >= CALM_NS]
        for kind in over:
            del self._met_ns[kind], self._reasons[kind]
            news.append(Refusal(kind, ""))
        return news
