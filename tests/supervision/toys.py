"""Actors and messages that only the supervision tests use."""

from __future__ import annotations

import os
import time
from typing import Any

import msgspec

from supervision.actor import Actor, ActorContext, StopReason
from supervision.codec import Codec
from supervision.envelope import Header, Lane
from supervision.events import Lifecycle, SiteReport


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
        if not isinstance(message, Do):
            return
        match message.what:
            case "raise":
                raise ValueError("told to raise")
            case "exit":
                raise SystemExit(3)
            case "hang":
                time.sleep(float(message.argument or 3600))
            case "spin":
                while True:
                    pass
            case "abort":
                os.abort()
            case "eat":
                self.food = bytearray(int(message.argument) << 20)
            case "finish":
                self.context.finish()
            case "flood":
                for _ in range(int(message.argument)):
                    self.tell("flood")
            case "start_cell":
                self.context.start_cell(message.argument)
            case _:
                self.tell(message.what)

    def on_stop(self, reason: StopReason) -> None:
        self.tell(f"stopped {reason.value}")
        path = self.config.get("stop_file")
        if path:
            with open(path, "a", encoding="utf-8") as file:
                file.write(f"{self.context.name} {reason.value} {time.monotonic_ns()}\n")


class Recorder(Toy):
    """Appends every message it gets to a file, one line each."""

    def on_message(self, message: Any, header: Header) -> None:
        with open(self.config["file"], "ab") as file:
            line = msgspec.json.encode([type(message).__name__, header.sender, header.epoch, message])
            file.write(line + b"\n")


class Driver(Toy):
    """Reads orders from a file that grows, `receiver what argument` a line, and sends them."""

    def on_start(self, context: ActorContext) -> None:
        self.context = context
        self.offset = 0

    def on_tick(self) -> None:
        try:
            with open(self.config["file"], encoding="utf-8") as file:
                file.seek(self.offset)
                lines = [line for line in file if line.endswith("\n")]
        except FileNotFoundError:
            return
        self.offset += sum(len(line.encode()) for line in lines)
        for line in lines:
            receiver, what, argument = (line.rstrip("\n").split(" ") + [""])[:3]
            self.context.send(Do(what, argument), receiver, lane=Lane.CONTROL)


def build(config: bytes) -> Toy:
    return Toy(config)


def build_recorder(config: bytes) -> Recorder:
    return Recorder(config)


def build_driver(config: bytes) -> Driver:
    return Driver(config)
