"""What a supervisor needs to know of a child before it starts it."""

from __future__ import annotations

import enum
import importlib
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

SETUP_VARIABLE = "CELL_SETUP"
"""Environment variable that may name a `module:callable` to call with a cell's name before anything starts in it."""


class SpecError(ValueError):
    """A specification that cannot be carried out; the message names the field and the fix."""


def _require(holds: bool, field: str, value: object, expected: str) -> None:  # noqa: FBT001 - a private assertion
    if not holds:
        msg = f"{field} = {value!r} is not allowed: expected {expected}"
        raise SpecError(msg)


class Restart(enum.Enum):
    """When a child that ended is started again."""

    PERMANENT = "permanent"
    """Always."""
    TRANSIENT = "transient"
    """Only if it ended abnormally."""
    TEMPORARY = "temporary"
    """Never."""


class OnExceeded(enum.Enum):
    """What happens to a child that failed more often than its intensity allows."""

    ESCALATE = "escalate"
    """Its cell fails with it."""
    QUARANTINE = "quarantine"
    """It rests for the quarantine time and is tried again; its neighbours live on."""


class Backoff(msgspec.Struct, frozen=True, kw_only=True):
    """Exponential delay before a restart, with jitter so that children do not return in step."""

    initial_s: float = 0.005
    factor: float = 2.0
    max_s: float = 30.0
    jitter: float = 0.2
    """Each delay is multiplied by a random factor in [1 - jitter, 1 + jitter]."""

    def __post_init__(self) -> None:
        """Refuse a back-off that cannot work."""
        _require(
            0 <= self.initial_s <= self.max_s, "backoff.initial_s", self.initial_s, "0 to max_s"
        )
        _require(self.factor >= 1, "backoff.factor", self.factor, "at least 1")
        _require(0 <= self.jitter < 1, "backoff.jitter", self.jitter, "0 to below 1")


class Intensity(msgspec.Struct, frozen=True, kw_only=True):
    """At most `max_restarts` restarts within any `window_s` seconds."""

    max_restarts: int = 5
    window_s: float = 10.0

    def __post_init__(self) -> None:
        """Refuse an intensity that cannot work."""
        _require(self.max_restarts >= 0, "intensity.max_restarts", self.max_restarts, "at least 0")
        _require(self.window_s > 0, "intensity.window_s", self.window_s, "above 0")


class MailboxSpec(msgspec.Struct, frozen=True, kw_only=True):
    """How many frames a mailbox holds."""

    control_per_sender: int = 256
    """Beyond this many waiting control frames a sender floods: its further ones are refused and alarmed."""
    telemetry: int = 1024

    def __post_init__(self) -> None:
        """Refuse a mailbox that could hold nothing."""
        _require(
            self.control_per_sender >= 1,
            "mailbox.control_per_sender",
            self.control_per_sender,
            "at least 1",
        )
        _require(self.telemetry >= 1, "mailbox.telemetry", self.telemetry, "at least 1")


class ChildSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One supervised actor. Plain data, because it crosses to the cell's process; what is usual stays behind."""

    name: str
    factory: str
    """`module:callable`; called in the actor's own thread with `config`, returns an `Actor`."""
    config: bytes = b""
    shared: str = ""
    """Key of the cell's `shared` bytes that the factory is given as a second argument; empty: it gets none."""
    restart: Restart = Restart.PERMANENT
    on_exceeded: OnExceeded = OnExceeded.ESCALATE
    tick_s: float = 0.1
    """Period of `Actor.on_tick`; also what makes progress visible while no message arrives, unless it is `pooled`: its
    pool knows when it has nothing to do."""
    pooled: bool = False
    """Whether it shares a few threads with the other pooled actors of its cell, instead of having one of its own."""
    tick_when_idle: bool = False
    """Whether a regular tick comes only after `tick_s` without other work."""
    liveness_s: float = 1.0
    """Longest time without a completed unit of work before the incarnation counts as hung."""
    start_s: float = 10.0
    """Longest time that construction and `on_start` may take."""
    shutdown_s: float = 2.0
    """Longest time that `on_stop` may take."""
    backoff: Backoff = Backoff()
    intensity: Intensity = Intensity()
    quarantine_s: float = 30.0
    mailbox: MailboxSpec = MailboxSpec()

    def __post_init__(self) -> None:
        """Refuse a specification that cannot be supervised."""
        _require(
            bool(self.name) and not self.name.startswith("@"),
            "name",
            self.name,
            "a name without a leading @",
        )
        _require(":" in self.factory, "factory", self.factory, "module:callable")
        _require(self.tick_s > 0, "tick_s", self.tick_s, "above 0")
        if not self.pooled:
            _require(self.tick_s < self.liveness_s, "tick_s", self.tick_s, "below liveness_s")
        _require(self.start_s > 0, "start_s", self.start_s, "above 0")
        _require(self.shutdown_s > 0, "shutdown_s", self.shutdown_s, "above 0")


class CellKind(enum.Enum):
    """What the loss of a cell means, and what the cell does when root is lost."""

    CRITICAL = "critical"
    """Never given up; outlives root just long enough to stop its actors in order."""
    DEGRADABLE = "degradable"
    """Quarantined when it fails too often; dies with root."""
    ON_DEMAND = "on_demand"
    """Started by a message, runs once, dies with root."""


class CellSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One process and the actors in it, in starting order."""

    name: str
    children: tuple[ChildSpec, ...]
    codec: str
    """`module:attribute` of the `Codec` that all actors of the site share."""
    kind: CellKind = CellKind.DEGRADABLE
    beat_s: float = 0.1
    liveness_s: float = 1.0
    """Longest silence of the cell's supervisor before the cell is killed."""
    start_s: float = 15.0
    shutdown_s: float = 5.0
    memory_limit_mb: int = 512
    """Resident memory at which root kills the cell."""
    trim_s: float = 10.0
    """How often it gives memory back that it does not use any more."""
    max_abandoned_threads: int = 3
    """More hung threads than this and the cell is given up."""
    switch_interval_s: float = 0.005
    """How long CPython lets one thread keep the interpreter while others wait."""
    backoff: Backoff = Backoff(initial_s=0.02)
    intensity: Intensity = Intensity(max_restarts=5, window_s=30.0)
    quarantine_s: float = 60.0
    nice: int = 0
    """How far it stands back when the processors are short, from 0 to 19, as nice(2) counts."""
    realtime: bool = False
    """Whether it goes before all that has no real-time priority, if that is permitted."""
    one_processor: bool = False
    """Whether its threads stay on one processor, another one after each restart. Only one of them runs at a time
    anyway, and one that is handed the interpreter where the last one was finds its data in the caches and need not be
    woken elsewhere. Not for a cell whose libraries work on several processors at once."""
    environment: dict[str, str] = {}
    """Added to the environment of the process."""
    listens_last: bool = False
    """Whether it is stopped after all others, so that it hears what they say to their end."""
    shared: dict[str, bytes] = {}
    """What many of its actors are told alike, and so is not repeated for each."""

    def __post_init__(self) -> None:
        """Refuse a specification that cannot be supervised."""
        _require(bool(self.name), "cell name", self.name, "a name")
        _require(bool(self.children), "children", self.children, "at least one actor")
        _require(
            0 < self.beat_s < self.liveness_s, "beat_s", self.beat_s, "above 0 and below liveness_s"
        )
        _require(0 <= self.nice <= 19, "nice", self.nice, "from 0 to 19")  # noqa: PLR2004 - as nice(2) counts
        _require(self.memory_limit_mb > 0, "memory_limit_mb", self.memory_limit_mb, "above 0")
        _require(self.trim_s > 0, "trim_s", self.trim_s, "above 0")
        for child in self.children:
            _require(
                not child.shared or child.shared in self.shared,
                f"{child.name}.shared",
                child.shared,
                "a key of the cell's shared",
            )


def refuse_duplicates(kind: str, names: Sequence[str]) -> None:
    """Let every name of a `kind` be there once.

    Raises:
        SpecError: one is there twice.
    """
    for name in names:
        if names.count(name) > 1:
            msg = f"two {kind}s are named {name!r}: names must be unique"
            raise SpecError(msg)


def load(reference: str) -> Callable[..., Any]:
    """Return what `module:attribute` refers to.

    Raises:
        SpecError: the module or the attribute does not exist.
    """
    module_name, _, attribute = reference.partition(":")
    try:
        loaded: Callable[..., Any] = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        msg = f"reference {reference!r} cannot be loaded: {error}"
        raise SpecError(msg) from error
    return loaded
