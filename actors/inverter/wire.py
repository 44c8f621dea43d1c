"""One TCP connection to one device: validated requests, one at a time, and nothing by itself.

pymodbus' own retry and reconnect are off: it would send pending writes again on a new connection. Whatever leaves doubt
about what belongs to what (a timeout, a stale frame) closes the socket.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable

from pymodbus.client.tcp import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu.pdu import ModbusPDU

from actors.inverter.errors import (
    ConnectError,
    ConnectionLostError,
    LinkClosedError,
    LinkError,
    RequestTimeoutError,
    StaleFrameError,
    device_error,
)

logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)
"""What it would log is raised here with more context."""

_MBAP_BYTES = 8
_READ, _WRITE_ONE, _WRITE_MANY = 3, 6, 16


class Wire:
    """A connection that is made once and never again; belongs to the loop it was created on."""

    def __init__(
        self, host: str, port: int, unit_id: int, timeout_s: float, on_lost: Callable[[], None]
    ) -> None:
        """Prepare a connection; `on_lost` is called when it ends by itself."""
        self._where = f"{host}:{port}"
        self._unit_id = unit_id
        self._timeout_s = timeout_s
        self._on_lost = on_lost
        self._ended: LinkError | None = None
        self._waiting: asyncio.Task[None] | None = None
        self._stale = ""
        self._connect_fault = ""
        self._client = AsyncModbusTcpClient(
            host,
            port=port,
            timeout=timeout_s,
            retries=0,
            reconnect_delay=0,
            trace_packet=self._inspect,
            trace_connect=self._trace_connect,
        )

    @property
    def ended(self) -> LinkError | None:
        """Why the connection is over, or None."""
        return self._ended

    async def open(self) -> None:
        """Connect.

        Raises:
            ConnectError: with the reason of the operating system.
        """
        manager = self._client.ctx
        create = manager.call_create

        async def create_and_remember_why_not() -> object:
            try:
                return await create()
            except OSError as error:
                self._connect_fault = _reason(error)
                raise

        manager.call_create = create_and_remember_why_not
        if not await self._client.connect():
            fault = self._connect_fault or f"no connection within {self._timeout_s:g} s"
            msg = f"cannot connect to {self._where}: {fault}"
            raise ConnectError(msg)
        sock = manager.transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def end(self, reason: LinkError) -> None:
        """Close the socket now; a pending request fails with `reason`."""
        if self._ended is not None:
            return
        self._ended = reason
        self._client.close()
        if self._waiting is not None:
            self._waiting.cancel()

    async def read(self, address: int, count: int) -> list[int]:
        """Return `count` holding registers from `address`.

        Raises:
            DeviceError: the device answered with an exception; the connection is fine.
            LinkError: anything else; the connection is closed.
        """
        what = f"read of {count} registers at {address}"
        response = await self._exchange(
            _READ,
            what,
            lambda: self._client.read_holding_registers(
                address, count=count, device_id=self._unit_id
            ),
        )
        if len(response.registers) != count:
            raise self._mismatch(f"{what}: the answer has {len(response.registers)} registers")
        return list(response.registers)

    async def write(self, address: int, words: tuple[int, ...]) -> None:
        """Write `words` from `address` on: one with function 6, more with function 16.

        Raises:
            DeviceError: the device answered with an exception; the connection is fine.
            LinkError: anything else; the connection is closed and it is not known whether the write happened.
        """
        what = f"write of {list(words)} at {address}"
        if len(words) == 1:
            response = await self._exchange(
                _WRITE_ONE,
                what,
                lambda: self._client.write_register(address, words[0], device_id=self._unit_id),
            )
            echoed = response.address == address and tuple(response.registers) == words
        else:
            response = await self._exchange(
                _WRITE_MANY,
                what,
                lambda: self._client.write_registers(address, list(words), device_id=self._unit_id),
            )
            echoed = response.address == address and response.count == len(words)
        if not echoed:
            raise self._mismatch(f"{what}: the answer echoes something else")

    async def _exchange(
        self, function: int, what: str, request: Callable[[], Awaitable[ModbusPDU]]
    ) -> ModbusPDU:
        if self._ended is not None:
            raise self._ended
        self._stale = ""
        response = await self._answer(what, request)
        if response.isError():
            raise device_error(response.exception_code, what)
        asked = self._client.ctx.request_transaction_id
        if response.transaction_id != asked:
            raise self._mismatch(
                f"{what}: the answer carries transaction {response.transaction_id} instead of {asked}"
            )
        if response.function_code != function:
            raise self._mismatch(
                f"{what}: the answer has function {response.function_code} instead of {function}"
            )
        return response

    async def _answer(self, what: str, request: Callable[[], Awaitable[ModbusPDU]]) -> ModbusPDU:
        task = asyncio.current_task()
        self._waiting = task
        try:
            return await request()
        except ModbusException as error:
            self._waiting = None
            raise self._unanswered(what) from error
        except asyncio.CancelledError:
            if self._ended is None or task is None or isinstance(self._ended, LinkClosedError):
                raise
            task.uncancel()
            raise self._ended from None
        finally:
            self._waiting = None

    def _unanswered(self, what: str) -> LinkError:
        if self._ended is not None:
            return self._ended
        if self._stale:
            return self._mismatch(f"{what}: {self._stale}")
        reason = RequestTimeoutError(f"{what}: no answer within {self._timeout_s:g} s")
        self.end(reason)
        return reason

    def _mismatch(self, message: str) -> StaleFrameError:
        reason = StaleFrameError(message)
        self.end(reason)
        return reason

    def _inspect(self, sending: bool, data: bytes) -> bytes:  # noqa: FBT001 - pymodbus' signature
        """Remember frames that pymodbus will skip, so that a timeout can say why."""
        if not sending and len(data) >= _MBAP_BYTES:
            asked = self._client.ctx.request_transaction_id
            transaction = int.from_bytes(data[:2], "big")
            if transaction != asked:
                self._stale = f"a frame of transaction {transaction} came instead of {asked}"
            elif self._unit_id not in (0, data[6]):
                self._stale = f"a frame of unit {data[6]} came instead of {self._unit_id}"
        return data

    def _trace_connect(self, connected: bool) -> None:  # noqa: FBT001 - pymodbus' signature
        if not connected and self._ended is None:
            self.end(ConnectionLostError(f"{self._where} closed the connection"))
            self._on_lost()


def _reason(error: OSError) -> str:
    """Return the operating system's own words, which asyncio replaces by its own."""
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or str(error)
