"""Faults on order, for trying out how the gateway stands them.

With `bessai run --chaos-dir DIR` every actor is wrapped. An order is a file `DIR/<actor>.fault` (a `/` in the name
written as `_`) holding one of the orders below; the actor takes it (the file disappears) and suffers it.

- `raise`, `exit`: raise `RuntimeError` or `SystemExit` while handling the next message;
- `hang S`, `spin S`: sleep, or burn the processor in pure Python, for S seconds;
- `segfault`: read address 0; `eat MB`: allocate memory, 16 MB a tick, and keep it;
- `flood ACTOR N`: send N control messages and N garbage telemetry frames to another actor, every tick for a second;
- `construct N`, `start N`: crash now, and fail the next N constructions or starts;
- `modules`: write the names of the loaded modules to `DIR/<actor>.modules`.

Without the option this module is not even imported.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from actors.messages import DescribeDevice
from supervision.actor import Actor, ActorContext, StopReason
from supervision.envelope import Header, Lane
from supervision.spec import load

FLOOD_S = 1.0
_EAT_STEP_MB = 16


class ChaosConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrapped, and where its orders come from."""

    name: str
    factory: str
    config: bytes
    directory: str


class ChaosError(RuntimeError):
    """A fault that was ordered."""


class _Orders:
    """The files of one actor."""

    def __init__(self, config: ChaosConfig) -> None:
        stem = config.name.replace("/", "_")
        self._order = Path(config.directory) / f"{stem}.fault"
        self._counted = Path(config.directory) / f"{stem}.counted"
        self._modules = Path(config.directory) / f"{stem}.modules"

    def take(self) -> list[str]:
        """Return the words of the waiting order, or nothing."""
        try:
            words = self._order.read_text(encoding="utf-8").split()
            self._order.unlink()
        except FileNotFoundError:
            return []
        return words

    def tell_modules(self) -> None:
        """Write the names of the loaded modules; who reads them sees all or none."""
        fresh = self._modules.with_suffix(".new")
        fresh.write_text("\n".join(sorted(sys.modules)), encoding="utf-8")
        fresh.rename(self._modules)

    def count_on(self, what: str, times: int) -> None:
        """Have the next `times` lives fail at `what`."""
        self._counted.write_text(f"{what} {times}", encoding="utf-8")

    def must_fail(self, what: str) -> bool:
        """Return whether this life is to fail at `what`, and count it."""
        try:
            ordered, times = self._counted.read_text(encoding="utf-8").split()
        except (FileNotFoundError, ValueError):
            return False
        if ordered != what or int(times) < 1:
            return False
        self.count_on(what, int(times) - 1)
        return True


class ChaosActor(Actor):
    """Suffers what is ordered, and otherwise is the actor it wraps."""

    def __init__(self, config: ChaosConfig, *shared: bytes) -> None:
        """Build the wrapped actor, unless its construction is to fail."""
        self._orders = _Orders(config)
        if self._orders.must_fail("construct"):
            raise ChaosError(f"{config.name} was ordered to fail its construction")
        self._name = config.name
        self._inner: Actor = load(config.factory)(config.config, *shared)
        self._raise_next: BaseException | None = None
        self._food: list[bytearray] = []
        self._hunger_mb = 0
        self._flood: tuple[str, int] | None = None
        self._flood_until_s = 0.0

    def on_start(self, context: ActorContext) -> None:
        """Start the wrapped actor, unless its start is to fail."""
        self._context = context
        if self._orders.must_fail("start"):
            raise ChaosError(f"{self._name} was ordered to fail its start")
        self._inner.on_start(context)

    def on_message(self, message: Any, header: Header) -> None:  # noqa: ANN401 - as in Actor
        """Raise if ordered, else pass the message on."""
        self._raise_if_ordered()
        self._inner.on_message(message, header)

    def on_event(self, event: Any) -> None:  # noqa: ANN401 - as in Actor
        """Raise if ordered, else pass the event on."""
        self._raise_if_ordered()
        self._inner.on_event(event)

    def on_tick(self) -> None:
        """Take an order if there is one, then do what the wrapped actor does."""
        self._obey(self._orders.take())
        self._eat()
        self._send_flood()
        self._inner.on_tick()

    def on_stop(self, reason: StopReason) -> None:
        """Stop the wrapped actor."""
        self._inner.on_stop(reason)

    def _raise_if_ordered(self) -> None:
        error, self._raise_next = self._raise_next, None
        if error is not None:
            raise error

    def _obey(self, words: list[str]) -> None:
        match words:
            case []:
                return
            case ["raise"]:
                self._raise_next = ChaosError(f"{self._name} was ordered to raise")
            case ["exit"]:
                self._raise_next = SystemExit(f"{self._name} was ordered to exit")
            case ["construct" | "start" as what, times]:
                self._orders.count_on(what, int(times))
                raise ChaosError(f"{self._name} was ordered to crash before failing its {what}")
            case ["modules"]:
                self._orders.tell_modules()
            case _:
                self._misbehave(words)

    def _misbehave(self, words: list[str]) -> None:
        match words:
            case ["hang", seconds]:
                time.sleep(float(seconds))
            case ["spin", seconds]:
                _spin(float(seconds))
            case ["segfault"]:
                ctypes.string_at(0)
            case ["eat", megabytes]:
                self._hunger_mb = int(megabytes)
            case ["flood", receiver, count]:
                self._flood = receiver, int(count)
                self._flood_until_s = time.monotonic() + FLOOD_S
            case _:
                raise ChaosError(f"unknown order {words} for {self._name}: see bessai/chaos.py")

    def _eat(self) -> None:
        if self._hunger_mb > 0:
            self._hunger_mb -= _EAT_STEP_MB
            self._food.append(bytearray(os.urandom(1) * (_EAT_STEP_MB << 20)))

    def _send_flood(self) -> None:
        if self._flood is None or time.monotonic() > self._flood_until_s:
            self._flood = None
            return
        receiver, count = self._flood
        nonsense = DescribeDevice(device_id="no-such-device")
        for _ in range(count):
            self._context.send(nonsense, receiver, lane=Lane.CONTROL)
            self._context.send(nonsense, receiver, lane=Lane.TELEMETRY)


def _spin(seconds: float) -> None:
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        pass


def build(config: bytes, *shared: bytes) -> ChaosActor:
    """Wrap the actor that `config` (a `ChaosConfig` as msgpack) describes."""
    return ChaosActor(msgspec.msgpack.decode(config, type=ChaosConfig), *shared)
