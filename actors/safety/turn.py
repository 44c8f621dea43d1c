"""What SafetyActor tells of a turn to whoever follows a trace: how a measurement was judged, and what was commanded.

A command is always traced: under the measurement or the request that led to it, if that is traced, else as a trace of
its own. A judgement and the renewal of a lease, of which there are many, are traced with their measurement only.
"""

from __future__ import annotations

from actors.messages import Attribute
from actors.tracing import Sender, Tracer


class Turn:
    """The turn that SafetyActor is in."""

    def __init__(self, sender: Sender, *, traced: bool) -> None:
        self._sender = sender
        self._tracer = Tracer(sender, on=traced)
        self._parent = ""
        self._began_ns = 0

    def begin(self, parent: str = "") -> None:
        """Begin a turn, for a message that came with the context `parent` or for the time alone."""
        self._parent = parent
        self._began_ns = self._sender.clock.monotonic_ns()

    def command(self) -> str:
        """Return the context of a command, to be told once it is out."""
        return self._tracer.begin(self._parent)

    def step(self) -> str:
        """Return the context of something that is traced only if what led to it is."""
        return self._tracer.follow(self._parent)

    def tell(self, context: str, name: str, device_id: str, **attributes: Attribute) -> None:
        """Hand over the span of `context`: what is commanded goes out first."""
        self._tracer.end(
            context,
            name,
            parent=self._parent,
            began_mono_ns=self._began_ns,
            device_id=device_id,
            attributes=attributes,
        )
