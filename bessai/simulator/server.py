"""A device on a Modbus TCP socket, as its behaviour has it: every request of every client is cut out and carried out.

Requests of one connection are carried out in the order they came, also when several arrive in one segment. A
connection that sends what is not Modbus is closed; no other connection notices.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import time
from collections.abc import Callable, Sequence
from typing import cast

from bessai.simulator.behaviour import Behaviour, Line
from bessai.simulator.device import RefusedError
from bessai.simulator.director import FOREIGN
from bessai.simulator.kinds import AnyDevice, knows_login
from bessai.simulator.login import Account, Login
from bessai.simulator.responder import WRITE_MANY, WRITE_ONE, Responder, Write, record_write
from bessai.simulator.value_faults import ServedPoint

MBAP_SIZE = 7
MIN_MBAP_LENGTH, MAX_MBAP_LENGTH = 2, 254
"""Length field of the Modbus TCP header: unit id, and 1 to 253 bytes."""
BACKLOG = 128
_HEADER = struct.Struct(">HHH")
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER for a connection whose end is a reset."""


class _Connection(asyncio.Protocol):
    """One client's connection."""

    _transport: asyncio.Transport
    _line: Line

    def __init__(self, owner: DeviceServer) -> None:
        self._owner = owner
        self._partial = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Serve the client."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one by shape only
        host, port = transport.get_extra_info("peername")[:2]
        responder = self._owner.responder(f"{host}:{port}", self._transport.abort)
        self._line = Line(
            self._owner.behaviour,
            respond=responder.respond,
            told=responder.told,
            put=self._put,
            drop=self._transport.abort,
            reset=self._reset,
        )

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the requests that nobody waits for any more."""
        del exc
        self._line.close()

    def data_received(self, data: bytes) -> None:
        """Take every whole frame, and keep what is the beginning of the next one."""
        came_ns = time.monotonic_ns()
        data = self._partial + data if self._partial else data
        used = 0
        while len(data) - used >= MBAP_SIZE:
            _, protocol, length = _HEADER.unpack_from(data, used)
            if protocol != 0 or not MIN_MBAP_LENGTH <= length <= MAX_MBAP_LENGTH:
                self._transport.abort()
                return
            end = used + _HEADER.size + length
            if end > len(data):
                break
            self._line.take(data[used:end], came_ns)
            used = end
        self._partial = data[used:]

    def pause_writing(self) -> None:
        """Read no more requests of a client that does not read the answers."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Read requests again."""
        self._transport.resume_reading()

    def _put(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    def _reset(self) -> None:
        if not self._transport.is_closing():
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._transport.abort()


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens on `host` and `port` (0: any free port).

    Raises:
        PortInUseError: if something else listens there or the address is not this machine's.
    """
    listener = reserve(host, port)
    listen(listener)
    return listener


def reserve(host: str, port: int) -> socket.socket:
    """Return a socket that holds `port`, on which connections are refused until it listens.

    Raises:
        PortInUseError: as `bind`.
    """
    holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        holder.bind((host, port))
    except OSError as error:
        holder.close()
        raise PortInUseError(host, port, error) from error
    holder.setblocking(False)
    return holder


def listen(holder: socket.socket) -> None:
    """Accept connections on a reserved port.

    Raises:
        PortInUseError: if something else listens there.
    """
    host, port = holder.getsockname()[:2]
    try:
        holder.listen(BACKLOG)
    except OSError as error:
        holder.close()
        raise PortInUseError(host, port, error) from error


class PortInUseError(Exception):
    """A port that the simulator should serve on cannot be bound."""

    def __init__(self, host: str, port: int, error: OSError) -> None:
        """Name the address, the reason and the fix."""
        reason = (error.strerror or str(error)).lower()
        super().__init__(
            f"cannot listen on {host}:{port}: {reason}; stop what listens there, "
            f"or give another port (0 takes any free one)"
        )
        self.host = host
        self.port = port


class DeviceServer:
    """The Modbus TCP server of one device."""

    def __init__(
        self,
        device: AnyDevice,
        listener: socket.socket,
        *,
        unit: int,
        seed: int = 0,
        account: Account | None = None,
    ) -> None:
        """Serve `device` as `unit` on the bound socket `listener`, which this object then owns.

        `seed` decides what is random in its behaviour, and `account` who may log in to it.
        """
        self.device = device
        self.unit = unit
        self.behaviour = Behaviour(self.points_named, seed=f"{seed}/{device.name}")
        self.host: str = listener.getsockname()[0]
        self.port: int = listener.getsockname()[1]
        self._account = account or Account()
        self._challenges = random.Random(f"{seed}/{device.name}/login")
        self._socket: socket.socket | None = listener
        """What holds the port while nobody is accepted."""
        self._server: asyncio.Server | None = None

    def responder(self, client: str, hang_up: Callable[[], None]) -> Responder:
        """Return who carries out the requests of a new connection of `client`, which `hang_up` closes."""
        knows = knows_login(self.device)
        login = Login(self._account, self._challenges) if knows else None
        return Responder(
            self.device, self.unit, self.behaviour, hang_up=hang_up, login=login, client=client
        )

    def points_named(self, name: str) -> Sequence[ServedPoint]:
        """Return the registers of a name or alias, or raise KeyError."""
        return self.device.image.points_named(name)

    async def accept(self) -> None:
        """Listen, again if it was refused meanwhile, on the same port.

        Raises:
            PortInUseError: if something else listens there.
        """
        if self._server is not None:
            return
        holder = self._socket or reserve(self.host, self.port)
        self._socket = None
        listen(holder)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), sock=holder)

    def refuse(self) -> None:
        """Close all connections and accept none, until `accept`."""
        self.close()
        with contextlib.suppress(PortInUseError):  # then it is tried again by `accept`
            self._socket = reserve(self.host, self.port)

    def close(self) -> None:
        """Close all connections and accept none."""
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self.behaviour.drop_all()

    def write_as_foreigner(self, point: ServedPoint, value: float) -> None:
        """Have another master write `value` to the register, and record that."""
        words, result = list(point.encode(value)), "ok"
        try:
            self.device.write(point.address, words)
        except RefusedError as refused:
            result = f"exception {refused.code}"
        record_write(
            self.device,
            Write(point.address, words),
            mono_ns=time.monotonic_ns(),
            unit=self.unit,
            function=WRITE_ONE if point.count == 1 else WRITE_MANY,
            result=result,
            client=FOREIGN,
        )
