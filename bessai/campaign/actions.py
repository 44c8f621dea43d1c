"""Carries out single steps on a running site and gateway, and notes what became of them."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from typing import NamedTuple, assert_never

import msgspec

from actors.api.command_socket import MAX_LINE_BYTES, SOCKET_NAME, reach
from bessai.campaign.arena import Arena
from bessai.campaign.processes import process_of
from bessai.campaign.record import Done
from bessai.campaign.step import Ask, Force, Order, Physics, Signal, Step, Suffer
from bessai.simulator.control import SimulatorError
from bessai.simulator.faults import parameters_of

_TAKEN_WITHIN_S = 15.0
"""An order whose actor does not live so long is taken back."""
_LOOK_S = 0.02
_ANSWER_S = 1.0
_AGAIN_S = 0.2
_TRIES = 50


class Later(NamedTuple):
    """What a step has left to be done, at a time of `time.monotonic`."""

    at_s: float
    act: Callable[[], Later | None]


class Actions:
    """Steps of one campaign; what is done is told to `note`."""

    def __init__(self, arena: Arena, note: Callable[[Done], None]) -> None:
        self._client = arena.site.client
        self._gateway = arena.gateway
        self._note = note

    def begin(self, step: Step) -> Later | None:
        """Let `step` begin, and return what is left to be done for it."""
        began_ns = time.monotonic_ns()
        try:
            later = self._begin(step, began_ns)
        except (SimulatorError, OSError) as error:
            self._done(step, began_ns, refused=str(error))
            return None
        if later is None:
            self._done(step, began_ns)
        return later

    def _begin(self, step: Step, began_ns: int) -> Later | None:
        match step.what:
            case Suffer() as suffer:
                return self._suffer(step, suffer, began_ns)
            case Physics(values=values):
                self._client.set_state(step.device, **values)
                return None
            case Force() as force:
                self._force(step.device, force)
                return None
            case Ask() as ask:
                return self._ask(step, ask, began_ns)
            case Order() as order:
                self._gateway.order(order.actor, order.order)
                return self._look(step, order, began_ns)
            case Signal() as sent:
                return self._signal(step, sent, began_ns)
            case _:
                assert_never(step.what)

    def _suffer(self, step: Step, suffer: Suffer, began_ns: int) -> Later:
        name = f"step {step.number}"
        fault = suffer.fault
        self._client.add_fault(step.device, fault.kind.value, name=name, **parameters_of(fault))
        return Later(
            time.monotonic() + suffer.for_s, lambda: self._relieve(step, name, began_ns, _TRIES)
        )

    def _relieve(self, step: Step, name: str, began_ns: int, tries: int) -> Later | None:
        """End a fault; a device that should listen again may find its port taken for a moment."""
        try:
            self._client.end_fault(step.device, name)
        except SimulatorError as error:
            if tries > 0:
                again_s = time.monotonic() + _AGAIN_S
                return Later(again_s, lambda: self._relieve(step, name, began_ns, tries - 1))
            self._done(step, began_ns, refused=f"could not be ended: {error}")
            return None
        self._done(step, began_ns)
        return None

    def _force(self, device: str, force: Force) -> None:
        """Write the command as another master would, in the order in which the device wants it."""
        power = f"forced_{force.kind.name.lower()}_power_w"
        writes = {
            "forced_setting_mode": 0,
            "forced_period_min": force.minutes,
            power: force.power_w,
            "forced_mode": int(force.kind),
        }
        for register, value in writes.items():
            name = f"another master writes {register}"
            self._client.add_fault(
                device, "foreign_writes", name=name, register=register, value=value, every_s=3600
            )
            self._client.end_fault(device, name)

    def _ask(self, step: Step, ask: Ask, began_ns: int) -> Later:
        """Ask, and look for the answer later: the campaign waits for nobody."""
        line = {"do": "setpoint", "device": step.device, "watts": ask.watts, "ttl_s": ask.ttl_s}
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            peer.settimeout(_LOOK_S)
            with reach(self._gateway.state_dir) as short:
                peer.connect(f"{short}/{SOCKET_NAME}")
            peer.sendall(msgspec.json.encode({**line, "reason": "campaign"}) + b"\n")
        except OSError:
            peer.close()
            raise
        return Later(time.monotonic() + _ANSWER_S, lambda: self._hear(step, peer, began_ns))

    def _hear(self, step: Step, peer: socket.socket, began_ns: int) -> None:
        """See whether there was an answer; a denial is one too."""
        refused = ""
        try:
            if not peer.recv(MAX_LINE_BYTES, socket.MSG_DONTWAIT):
                refused = "the socket was closed without an answer"
        except OSError as error:
            refused = f"no answer: {error}"
        finally:
            peer.close()
        self._done(step, began_ns, refused=refused)

    def _look(self, step: Step, order: Order, began_ns: int) -> Later | None:
        """See whether the order has been taken: only then does what it orders begin."""
        file = self._gateway.order_file(order.actor)
        if not file.exists():
            self._done(step, began_ns, ended_ns=time.monotonic_ns() + int(order.for_s * 1e9))
            return None
        if time.monotonic_ns() - began_ns > _TAKEN_WITHIN_S * 1e9:
            file.unlink(missing_ok=True)
            self._done(step, began_ns, refused="nobody took the order")
            return None
        return Later(time.monotonic() + _LOOK_S, lambda: self._look(step, order, began_ns))

    def _signal(self, step: Step, sent: Signal, began_ns: int) -> Later | None:
        pid = process_of(sent.cell, self._gateway.process.pid)
        if pid is None:
            raise ProcessLookupError(f"the cell {sent.cell} has no process now")
        if not sent.stop_s:
            os.kill(pid, signal.SIGKILL)
            return None
        os.kill(pid, signal.SIGSTOP)
        return Later(time.monotonic() + sent.stop_s, lambda: self._go_on(step, sent, pid, began_ns))

    def _go_on(self, step: Step, sent: Signal, pid: int, began_ns: int) -> None:
        if process_of(sent.cell, self._gateway.process.pid) == pid:
            os.kill(pid, signal.SIGCONT)
        self._done(step, began_ns)

    def _done(
        self, step: Step, began_ns: int, *, ended_ns: int | None = None, refused: str = ""
    ) -> None:
        ended_ns = time.monotonic_ns() if ended_ns is None else ended_ns
        self._note(Done(step=step, began_ns=began_ns, ended_ns=ended_ns, refused=refused))
