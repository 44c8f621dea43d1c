"""What an actor author writes against.

An actor is a plain object that owns its state and is touched by one thread only: the thread of its incarnation.
It is constructed, started, fed and stopped in that thread; whatever it raises, there or here, ends the incarnation and
a new one is started under the child's restart policy with nothing of the old state.

An actor that does its own I/O on other threads hands the results to itself with `ActorContext.post` and
releases what those threads hold with `ActorContext.on_fence`, so that a hung incarnation can be cut off.
"""

from __future__ import annotations

import abc
import enum
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from supervision.clock import Clock
from supervision.envelope import Header, Lane


class StopReason(enum.Enum):
    """Why an incarnation is asked to stop."""

    SHUTDOWN = "shutdown"
    """The site is being stopped in order."""
    ORPHANED = "orphaned"
    """Root is gone; what must be left safe is left safe now."""
    RESTART = "restart"
    """The cell is about to be replaced."""


class ActorContext(Protocol):
    """What an incarnation may ask of the system. Every method may be called from any thread."""

    @property
    def name(self) -> str:
        """The actor's address."""
        ...

    @property
    def epoch(self) -> int:
        """The number of this incarnation; larger than that of every earlier one, also across restarts of the site."""
        ...

    @property
    def clock(self) -> Clock:
        """The clocks to use instead of `time`."""
        ...

    @property
    def fenced(self) -> bool:
        """Whether this incarnation has been given up: nothing it sends is delivered any more."""
        ...

    def send(
        self,
        message: msgspec.Struct,
        *receivers: str,
        lane: Lane = Lane.TELEMETRY,
        ttl_s: float | None = None,
        trace: str = "",
    ) -> None:
        """Encode `message` once and send it to every receiver; never blocks, never raises for a missing receiver.

        A frame that cannot be delivered becomes a dead letter. With `ttl_s` the frame carries a deadline after which
        it is not delivered.
        """
        ...

    def send_encoded(
        self, body: bytes, *receivers: str, lane: Lane = Lane.TELEMETRY, trace: str = ""
    ) -> None:
        """Send what the site's codec has made of a message; otherwise as `send`."""
        ...

    def post(self, event: object, *, urgent: bool = False) -> None:
        """Put an object into the actor's own mailbox: completions of its own I/O, handed to `Actor.on_event`."""
        ...

    def wake_at(self, mono_ns: int) -> None:
        """Have `on_tick` called at `mono_ns` of the monotonic clock, or at the regular tick if that is earlier.

        Only the last call counts, and only once. To be called from the actor's own thread.
        """
        ...

    def on_fence(self, release: Callable[[], None]) -> None:
        """Have `release` called if this incarnation is fenced (from another thread) or crashes.

        It must not block or raise, and may be called more than once.
        """
        ...

    def start_cell(self, cell: str) -> None:
        """Ask root to start the on-demand cell `cell`, if it is not running."""
        ...

    def finish(self) -> None:
        """End this incarnation normally after the current unit of work."""
        ...


class Actor(abc.ABC):
    """Base class of all actors: override what is needed. Never block longer than the child's `liveness_s`."""

    def on_start(self, context: ActorContext) -> None:
        """Begin; called once before anything else."""

    @abc.abstractmethod
    def on_message(self, message: Any, header: Header) -> None:  # noqa: ANN401 - a member of the site's union
        """Handle one decoded message."""

    def on_event(self, event: Any) -> None:  # noqa: ANN401 - the actor's own type
        """Handle one object that the actor posted to itself."""

    def on_tick(self) -> None:
        """Do periodic work; called every `ChildSpec.tick_s`, and when `wake_at` says, whatever else arrives."""

    def on_stop(self, reason: StopReason) -> None:
        """Leave things in order; called at a regular stop, not after a crash or a hang."""
