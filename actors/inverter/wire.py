"""One connection to a Modbus server: validated requests, one at a time, and nothing by itself.

It is made once and never again, re-sends nothing, and takes nothing for an answer but the answer: the transaction, the
unit, the function and the length must be those of the request. What is late, doubled or foreign is dropped and told
when the request runs out of time; what cannot be a frame at all, or answers something else, ends the connection.
"""

from __future__ import annotations

import asyncio
import functools
import os
import socket
import ssl
import struct
import sys
from array import array
from collections.abc import Callable, Sequence
from typing import Protocol, cast

import msgspec

from actors.inverter.errors import (
    ConnectError,
    ConnectionLostError,
    LinkClosedError,
    LinkError,
    RequestTimeoutError,
    StaleFrameError,
    device_error,
)
from actors.inverter.framing import Arrived, Framing, NoFrameError, framer
from actors.inverter.tls import Tls, TlsFileError, tls_context, tls_reason

_READ, _WRITE_ONE, _WRITE_MANY = 3, 6, 16
_EXCEPTION = 0x80
_EXCEPTION_BYTES = 2
_HEAD = struct.Struct(">BHH")
_MANY = struct.Struct(">BHHB")
_TRANSACTIONS = 0xFFFF


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Where a Modbus server answers, and how it is spoken to. Devices with the same address share a connection."""

    host: str
    port: int
    framing: Framing = Framing.TCP
    tls: Tls | None = None

    def __str__(self) -> str:
        """Return it as people write it."""
        return f"{self.host}:{self.port}"


class Span(Protocol):
    """Registers that lie one after the other."""

    @property
    def address(self) -> int:
        """The first."""
        ...

    @property
    def count(self) -> int:
        """How many."""
        ...


class Run(Protocol):
    """Reads that follow one another without waking the reader in between."""

    @property
    def next(self) -> Span:
        """What to ask for."""
        ...

    def took(self, words: Sequence[int]) -> bool:
        """Take what `next` was answered with; return whether to ask for the new `next` at once."""
        ...


class Wire(asyncio.Protocol):
    """A connection; belongs to the loop it was opened on."""

    def __init__(self, address: Address, on_lost: Callable[[], None]) -> None:
        """Prepare a connection; `on_lost` is called when it ends by itself."""
        self._address = address
        self._on_lost = on_lost
        self._framer = framer(address.framing)
        self._transport: asyncio.Transport | None = None
        self._ended: LinkError | None = None
        self._transaction = 0
        self._unit = 0
        self._asked = b""
        self._stale = ""
        self._heard = False
        self._answer: asyncio.Future[bytes] | None = None
        self._run: Run | None = None
        self._timeout_s = self._deadline_s = 0.0
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_s = 0.0

    @property
    def ended(self) -> LinkError | None:
        """Why the connection is over, or None."""
        return self._ended

    @property
    def numbered(self) -> bool:
        """Whether a late answer is known as such, so that a request without an answer leaves no doubt behind."""
        return self._framer.numbered

    async def open(self, timeout_s: float) -> None:
        """Connect.

        Raises:
            ConnectError: with the reason of the operating system, or why the two sides do not trust one another.
        """
        tls = self._address.tls
        try:
            context = None if tls is None else tls_context(tls)
            name = None if tls is None else tls.server_name or self._address.host
            async with asyncio.timeout(timeout_s):
                await asyncio.get_running_loop().create_connection(
                    lambda: self,
                    self._address.host,
                    self._address.port,
                    ssl=context,
                    server_hostname=name,
                )
        except TimeoutError:
            raise self._unreachable(f"no connection within {timeout_s:g} s") from None
        except TlsFileError as error:
            raise self._unreachable(str(error)) from error
        except OSError as error:
            raise self._unreachable(self._reason(error)) from error

    def end(self, reason: LinkError) -> None:
        """Close the socket now; a pending request fails with `reason`."""
        if self._ended is not None:
            return
        self._ended = reason
        if self._transport is not None:
            self._transport.abort()
        if self._alarm is not None:
            self._alarm.cancel()
        self.give_up(reason)

    def give_up(self, reason: LinkError) -> None:
        """Let a pending request fail with `reason`; its answer, should it still come, is dropped."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(reason)

    async def read(self, unit: int, address: int, count: int, timeout_s: float) -> list[int]:
        """Return `count` holding registers of `unit` from `address`.

        Raises:
            DeviceError: the device answered with an exception.
            RequestTimeoutError: it did not answer in time; the connection is left as it is.
            StaleFrameError: something else came in its place (the connection is over) or until time was up (it is not).
            LinkError: anything else; the connection is over.
        """
        answer = await self._ask(unit, _HEAD.pack(_READ, address, count), timeout_s)
        words = self._registers(answer)
        if words is None:
            raise self._miscounted(answer)
        return list(words)

    async def read_run(self, unit: int, run: Run, timeout_s: float) -> None:
        """Read what `run` asks for, until it wants no more for now; each request has `timeout_s` of its own.

        Raises:
            LinkError: as `read`, about what `run` still has as its `next`.
        """
        self._run = run
        try:
            span = run.next
            last = await self._ask(unit, _HEAD.pack(_READ, span.address, span.count), timeout_s)
        finally:
            self._run = None
        if self._registers(last) is None:
            raise self._miscounted(last)

    async def write(
        self, unit: int, address: int, words: tuple[int, ...], timeout_s: float
    ) -> None:
        """Write `words` to `unit` from `address` on: one with function 6, more with function 16.

        Raises:
            DeviceError: the device answered with an exception.
            LinkError: anything else, as `read`, and it is not known whether the write happened.
        """
        if len(words) == 1:
            pdu = echo = _HEAD.pack(_WRITE_ONE, address, words[0])
        else:
            count = len(words)
            echo = _HEAD.pack(_WRITE_MANY, address, count)
            pdu = _MANY.pack(_WRITE_MANY, address, count, 2 * count) + _words(count).pack(*words)
        if await self._ask(unit, pdu, timeout_s) != echo:
            raise self._mismatch("the answer echoes something else")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one by shape only
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        """Look for the answer in what arrives."""
        self._heard = True
        if self._answer is None and not self.numbered:
            self._fail(StaleFrameError("something came that nobody had asked for"))
            return
        try:
            frames = self._framer.feed(data)
        except NoFrameError as error:
            self._fail(StaleFrameError(f"{self._what()}: {error}"))
            return
        for frame in frames:
            self._take(frame)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits, and the owner."""
        why = f" ({self._reason(exc)})" if isinstance(exc, OSError) else ""
        if self._address.tls is not None and not self._heard:
            why += " before it answered anything: does it want to see another tls.certificate?"
        self._fail(ConnectionLostError(f"{self._address} closed the connection{why}"))

    async def _ask(self, unit: int, pdu: bytes, timeout_s: float) -> bytes:
        if self._ended is not None:
            raise self._ended
        self._answer = answer = asyncio.get_running_loop().create_future()
        self._unit, self._timeout_s = unit, timeout_s
        self._send(pdu)
        try:
            arrived: bytes = await answer
        finally:
            self._answer = None
        function = pdu[0]
        if arrived[0] == function:
            return arrived
        if arrived[0] == function | _EXCEPTION and len(arrived) == _EXCEPTION_BYTES:
            raise device_error(arrived[1], self._what())
        raise self._mismatch(f"the answer has function {arrived[0]} instead of {function}")

    def _send(self, pdu: bytes) -> None:
        assert self._transport is not None  # noqa: S101 - it is open
        assert self._answer is not None  # noqa: S101 - somebody waits for it
        self._transaction = self._transaction % _TRANSACTIONS + 1
        self._asked = pdu
        self._stale = ""
        self._transport.write(self._framer.pack(self._transaction, self._unit, pdu))
        loop = self._answer.get_loop()
        self._watch(loop, loop.time() + self._timeout_s)

    def _watch(self, loop: asyncio.AbstractEventLoop, deadline_s: float) -> None:
        """Look at `deadline_s` whether there is an answer. One timer serves many requests: making one is dear."""
        self._deadline_s = deadline_s
        if self._alarm is not None:
            if self._alarm_s <= deadline_s:
                return
            self._alarm.cancel()
        self._alarm_s = deadline_s
        self._alarm = loop.call_later(deadline_s - loop.time(), self._look)

    def _look(self) -> None:
        self._alarm = None
        if self._answer is None or self._answer.done():
            return
        loop = asyncio.get_running_loop()
        if loop.time() < self._deadline_s:
            self._watch(loop, self._deadline_s)
        elif self._stale:
            self.give_up(StaleFrameError(f"{self._what()}: {self._stale}"))
        else:
            why = f"{self._what()}: no answer within {self._timeout_s:g} s"
            self.give_up(RequestTimeoutError(why))

    def _take(self, frame: Arrived) -> None:
        if frame.transaction not in {None, self._transaction}:
            self._stale = (
                f"a frame of transaction {frame.transaction} came instead of {self._transaction}"
            )
        elif self._unit not in {0, frame.unit}:
            self._stale = f"a frame of unit {frame.unit} came instead of {self._unit}"
        elif self._answer is not None and not self._answer.done():
            self._give(self._answer, frame.pdu)

    def _give(self, answer: asyncio.Future[bytes], pdu: bytes) -> None:
        """Let the run take an answer and ask for more, or else wake who waits for it."""
        try:
            words = self._registers(pdu) if self._run is not None else None
            if self._run is not None and words is not None and self._run.took(words):
                span = self._run.next
                self._send(_HEAD.pack(_READ, span.address, span.count))
                return
        except Exception as error:  # noqa: BLE001 - who reads is to hear of it, not the event loop
            answer.set_exception(error)
            return
        answer.set_result(pdu)

    def _registers(self, pdu: bytes) -> array[int] | None:
        """Return the words in the answer to a read, or None if it is none; not as a list, which costs much more."""
        _, _, count = _HEAD.unpack(self._asked)
        if pdu[0] != _READ or len(pdu) != 2 * count + 2 or pdu[1] != 2 * count:
            return None
        words = array("H", pdu[2:])
        if sys.byteorder == "little":
            words.byteswap()
        return words

    def _what(self) -> str:
        """Return what was asked last, in words."""
        if not self._asked:
            return "before the first request"
        function, address, value = _HEAD.unpack_from(self._asked)
        if function == _READ:
            return f"read of {value} registers at {address}"
        words = [value]
        if function == _WRITE_MANY:
            words = list(_words(value).unpack_from(self._asked, _MANY.size))
        return f"write of {words} at {address}"

    def _miscounted(self, pdu: bytes) -> StaleFrameError:
        return self._mismatch(f"the answer has {max(len(pdu) - 2, 0) / 2:g} registers")

    def _mismatch(self, message: str) -> StaleFrameError:
        reason = StaleFrameError(f"{self._what()}: {message}")
        self._fail(reason)
        return reason

    def _fail(self, reason: LinkError) -> None:
        """End the connection because of what came, or did not come, from the other side."""
        if self._ended is None:
            self.end(reason)
            self._on_lost()

    def _unreachable(self, why: str) -> ConnectError:
        self.end(LinkClosedError("it was never open"))
        return ConnectError(f"cannot connect to {self._address}: {why}")

    def _reason(self, error: OSError) -> str:
        """Return the operating system's own words, which asyncio replaces by its own."""
        if isinstance(error, ssl.SSLError):
            return tls_reason(error)
        hung_up = isinstance(error, (ConnectionResetError, ConnectionAbortedError))
        if hung_up and self._address.tls is not None and self._transport is None:
            return "it closed the connection instead of speaking TLS"
        if error.errno is not None and error.errno > 0:
            return os.strerror(error.errno)
        return error.strerror or str(error)


@functools.cache
def _words(count: int) -> struct.Struct:
    return struct.Struct(f">{count}H")
