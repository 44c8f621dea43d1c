"""Actors and messages that only the supervision tests use."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import msgspec

from supervision.actor import Actor, ActorContext, StopReason
from supervision.codec import Codec
from supervision.envelope import Frame, Header, Lane
from supervision.events import Lifecycle, SiteReport
from supervision.postoffice import PostOffice

_BITE_MB = 10


class Do(msgspec.Struct, frozen=True, array_like=True, tag="do"):
    """Ask a toy to do something."""

    what: str
    argument: str = ""


class Did(msgspec.Struct, frozen=True, array_like=True, tag="did"):
    """A toy did something."""

    who: str
    what: str
    epoch: int = 0


CODEC = Codec(Do | Did | Lifecycle | SiteReport)


class Toy(Actor):
    """Does what it is told, mostly wrong."""

    def __init__(self, config: bytes) -> None:
        self.config = msgspec.json.decode(config) if config else {}
        if self.config.get("fail") == "construct":
            raise RuntimeError("cannot be built")

    def on_start(self, context: ActorContext) -> None:
        self.context = context
        if self.config.get("fail") == "start":
            raise RuntimeError("cannot start")
        self.tell("started")

    def tell(self, what: str) -> None:
        to = self.config.get("to")
        if to:
            did = Did(self.context.name, what, self.context.epoch)
            self.context.send(did, to, lane=Lane.CONTROL)

    def on_message(self, message: Any, header: Header) -> None:
        if isinstance(message, Do):
            self.do(message)

    def do(self, order: Do) -> None:
        deed = getattr(self, f"do_{order.what}", None)
        if deed is None:
            self.tell(order.what)
        else:
            deed(order.argument)

    def do_raise(self, _argument: str) -> None:
        raise ValueError("told to raise")

    def do_exit(self, _argument: str) -> None:
        raise SystemExit(3)

    def do_hang(self, argument: str) -> None:
        time.sleep(float(argument or 3600))

    def do_spin(self, _argument: str) -> None:
        while True:
            pass

    def do_abort(self, _argument: str) -> None:
        os.abort()

    def do_leave(self, _argument: str) -> None:
        """Die and leave a child that holds all descriptors open as long as root lives."""
        root = os.getppid()
        if os.fork() == 0:
            while os.path.exists(f"/proc/{root}"):  # noqa: PTH110 - nothing is imported here any more
                time.sleep(0.1)
            os._exit(0)
        os.abort()

    def do_eat(self, argument: str) -> None:
        self.food: list[bytearray] = []
        self.context.post(int(argument))

    def do_digest(self, argument: str) -> None:
        """Eat so many MB in small pieces, and keep a few of them from all over."""
        pieces = [bytes(1024) for _ in range(int(argument) << 10)]
        self.kept = pieces[::256]
        self.tell("digested")

    def on_event(self, event: int) -> None:
        """Eat a bite of what is left, and come back for the next: a slow machine must not take that for a hang."""
        self.food.append(bytearray(_BITE_MB << 20))
        if event > _BITE_MB:
            self.context.post(event - _BITE_MB)

    def do_finish(self, _argument: str) -> None:
        self.context.finish()

    def do_flood(self, argument: str) -> None:
        for _ in range(int(argument)):
            self.tell("flood")

    def do_garbage(self, argument: str) -> None:
        """Send a body that no codec made, past the context that would never do so."""
        header = Header(
            receiver=argument, sender=self.context.name, epoch=self.context.epoch, lane=Lane.CONTROL
        )
        self.post_office().dispatch(Frame(header, b"\xc1"))

    def do_forge(self, argument: str) -> None:
        """Send in the name of another actor, past the context that would never do so."""
        header = Header(receiver="recorder", sender=argument, epoch=2**60, lane=Lane.CONTROL)
        body = CODEC.encode(Did(argument, "forged"))
        self.post_office().dispatch(Frame(header, body))

    def do_babble(self, _argument: str) -> None:
        """Put bytes on the link that are no frames."""
        link: Any = self.post_office()._to_link
        link.__self__.sock.send(b"\xff" * 64)

    def post_office(self) -> PostOffice:
        life: Any = self.context
        office: PostOffice = life._post_office
        return office

    def do_start_cell(self, argument: str) -> None:
        self.context.start_cell(argument)

    def on_stop(self, reason: StopReason) -> None:
        time.sleep(self.config.get("slow_stop_s", 0.0))
        self.tell(f"stopped {reason.value}")
        path = self.config.get("stop_file")
        if path:
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(f"{self.context.name} {reason.value} {time.monotonic_ns()}\n")


class Recorder(Toy):
    """Appends every message it gets to a file, one line each."""

    def on_message(self, message: Any, header: Header) -> None:
        with Path(self.config["file"]).open("ab") as file:
            line = msgspec.json.encode(
                [type(message).__name__, header.sender, header.epoch, message]
            )
            file.write(line + b"\n")


class Driver(Toy):
    """Reads orders from a file that grows, `receiver what argument` a line, and sends them."""

    def on_start(self, context: ActorContext) -> None:
        self.context = context
        self.offset = 0

    def on_tick(self) -> None:
        try:
            with Path(self.config["file"]).open(encoding="utf-8") as file:
                file.seek(self.offset)
                lines = [line for line in file if line.endswith("\n")]
        except FileNotFoundError:
            return
        self.offset += sum(len(line.encode()) for line in lines)
        for line in lines:
            receiver, what, argument = [*line.rstrip("\n").split(" "), ""][:3]
            self.context.send(Do(what, argument), receiver, lane=Lane.CONTROL)


def build(config: bytes) -> Toy:
    return Toy(config)


def build_recorder(config: bytes) -> Recorder:
    return Recorder(config)


def build_driver(config: bytes) -> Driver:
    return Driver(config)
