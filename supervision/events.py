"""What supervisors tell: to one another, and to the actors that show a site's health.

`Lifecycle` and `SiteReport` are meant for actors: a site adds them to its union of messages.
The rest is spoken only between root and the cells, under the addresses `@root` and `@<cell>`.
"""

from __future__ import annotations

import enum

import msgspec

ROOT = "@root"
"""The address of the root supervisor."""


def cell_address(cell: str) -> str:
    """Return the address of a cell's supervisor."""
    return f"@{cell}"


class State(enum.Enum):
    """Where an actor or a cell is in its life."""

    IDLE = "idle"
    """Waits to be started on demand."""
    STARTING = "starting"
    RUNNING = "running"
    BACKING_OFF = "backing_off"
    QUARANTINED = "quarantined"
    STOPPING = "stopping"
    STOPPED = "stopped"


class What(enum.Enum):
    """What happened to an actor or a cell."""

    STARTED = "started"
    CRASHED = "crashed"
    HUNG = "hung"
    FINISHED = "finished"
    STOPPED = "stopped"
    RESTARTING = "restarting"
    QUARANTINED = "quarantined"
    ESCALATED = "escalated"
    KILLED = "killed"
    FLOODED = "flooded"
    DEAD_LETTERS = "dead_letters"


class Lifecycle(msgspec.Struct, frozen=True, array_like=True, kw_only=True, tag="lifecycle"):
    """One event in the life of a cell (`actor` empty) or of an actor."""

    cell: str
    what: What
    wall_ns: int
    actor: str = ""
    reason: str = ""
    epoch: int = 0
    count: int = 1
    """How many dead letters, for `DEAD_LETTERS`; how many restarts so far, for `RESTARTING`."""
    detail: str = ""
    """A traceback or a stack dump, where there is one."""


class ActorReport(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """An actor as its cell's supervisor sees it."""

    name: str
    state: State
    epoch: int
    completed: int
    """Units of work (messages, events, ticks) that this incarnation has finished."""
    progress_ns: int
    """Monotonic time of the last one, or at which it was seen with nothing to do; 0 before the first."""
    restarts: int = 0
    reason: str = ""
    """Why the last incarnation ended, or empty."""
    waiting: int = 0
    """Frames in the mailbox."""
    dropped: int = 0
    """Frames the mailbox dropped or refused since the cell started."""


class CellReport(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """A cell as root sees it, with its actors as the cell last reported them."""

    name: str
    kind: str
    state: State
    pid: int = 0
    incarnation: int = 0
    restarts: int = 0
    reason: str = ""
    beat_ns: int = 0
    """Monotonic time of the last beat that root heard; 0 before the first."""
    memory_bytes: int = 0
    dead_letters: int = 0
    dropped: int = 0
    """Frames that root or the cell could not put on the link."""
    abandoned_threads: int = 0
    actors: tuple[ActorReport, ...] = ()


class SiteReport(msgspec.Struct, frozen=True, array_like=True, kw_only=True, tag="site_report"):
    """Everything root knows, sent a few times a second to those who show it."""

    mono_ns: int
    started_ns: int
    """Monotonic time at which root started."""
    cells: tuple[CellReport, ...]


class Beat(msgspec.Struct, frozen=True, array_like=True, kw_only=True, tag="beat"):
    """A cell's supervisor is alive, and this is what it sees."""

    mono_ns: int
    actors: tuple[ActorReport, ...] | None
    """None: as told last; a cell of hundreds of actors tells of them less often than it beats."""
    dead_letters: int
    dropped: int
    abandoned_threads: int


class Stop(msgspec.Struct, frozen=True, array_like=True, kw_only=True, tag="stop"):
    """Root asks a cell to stop its actors in reverse order and exit."""

    reason: str


class StartCell(msgspec.Struct, frozen=True, array_like=True, kw_only=True, tag="start_cell"):
    """An actor asks root to start an on-demand cell."""

    cell: str


class Pulse(msgspec.Struct, frozen=True, array_like=True, kw_only=True, tag="pulse"):
    """The site's watchdog actor tells root whether all that matters progresses: nothing else kicks watchdogs."""

    mono_ns: int
    progressing: bool
    status: str
    """In a few words, for people."""


class Ready(msgspec.Struct, frozen=True, array_like=True, kw_only=True, tag="ready"):
    """Every actor of the cell has started once."""

    mono_ns: int


class Introduction(msgspec.Struct, frozen=True, array_like=True, kw_only=True, tag="introduction"):
    """The first thing a new cell is told: who it is and what it runs."""

    generation: int
    """Rises with every start of the site; part of every epoch."""
    site_started_ns: int
    """Monotonic time at which root started; the other part."""
    incarnation: int
    """How often this cell has been started, from 1."""
    spec: bytes
    """The `CellSpec`, encoded as msgpack."""
    addresses: tuple[str, ...]
    """Every actor of the site."""
    watchers: tuple[str, ...]
    """The actors that are told of every `Lifecycle`."""


SupervisionMessage = Lifecycle | SiteReport | Beat | Stop | StartCell | Pulse | Ready | Introduction
