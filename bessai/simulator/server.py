"""A device on a Modbus TCP socket: pymodbus' server, framer and data model, with recording and faults around them.

Requests of one connection are carried out in the order they came, also when several arrive in one segment. A
connection that sends what is not Modbus is closed; no other connection notices.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from functools import partial
from typing import Any, cast

from pymodbus.constants import ExcCodes
from pymodbus.exceptions import ModbusIOException
from pymodbus.pdu import ExceptionResponse, ModbusPDU
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    WriteMultipleRegistersRequest,
    WriteMultipleRegistersResponse,
    WriteSingleRegisterRequest,
    WriteSingleRegisterResponse,
)
from pymodbus.server import ModbusTcpServer
from pymodbus.server.requesthandler import ServerRequestHandler
from pymodbus.simulator import DataType, SimData, SimDevice

from bessai.simulator.device import RefusedError, SimulatedDevice, describe_write
from bessai.simulator.faults import Fault, FaultKind
from bessai.simulator.image import EXISTING
from bessai.simulator.record import WriteRecord

ILLEGAL_FUNCTION = 1
NO_SUCH_UNIT = 11
"""Exception for another unit id: the gateway target did not respond."""
READ_FUNCTION = 3
WRITE_FUNCTIONS = frozenset({6, 16})
MBAP_SIZE = 7
MIN_MBAP_LENGTH, MAX_MBAP_LENGTH = 2, 254
"""Length field of the Modbus TCP header: unit id, and 1 to 253 bytes."""
MAX_WAITING = 1000
"""Requests that one connection may have waiting before it is closed."""


def sim_device(device: SimulatedDevice, unit: int) -> SimDevice:
    """Return pymodbus' description of the device's map, whose every access goes to `device`."""

    async def action(  # noqa: PLR0917 - the signature is pymodbus'
        function: int,
        start: int,
        address: int,
        count: int,
        registers: list[int],
        new: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        """Carry out the access on the device and let pymodbus serve the words that result."""
        del function
        try:
            if new is not None:
                device.write(address, [int(word) for word in new])
                new[:] = cast("list[bool]", device.read(address, count))
            offset = address - start
            registers[offset : offset + count] = device.read(address, count)
        except RefusedError as refused:
            return ExcCodes(refused.code)
        return None

    ordered = sorted(EXISTING)
    data = [SimData(address, values=[0], datatype=DataType.REGISTERS) for address in ordered]
    return SimDevice(unit, simdata=data, action=action)


class _Request:
    """A decoded request with the time its bytes arrived."""

    __slots__ = ("mono_ns", "pdu", "wall_ns")

    def __init__(self, pdu: ModbusPDU, mono_ns: int) -> None:
        self.pdu = pdu
        self.mono_ns = mono_ns
        self.wall_ns = time.time_ns()


class _Connection(ServerRequestHandler):
    """One client's connection."""

    server: DeviceServer

    def __init__(self, owner: DeviceServer) -> None:
        super().__init__(owner, None, None, None)  # type: ignore[no-untyped-call]
        self._requests: asyncio.Queue[_Request] = asyncio.Queue()
        self._worker: asyncio.Task[None] | None = None
        self._peer = ""
        self._partial = b""

    def callback_connected(self) -> None:
        """Start to carry out this connection's requests."""
        super().callback_connected()
        host, port = self.transport.get_extra_info("peername")[:2]
        self._peer = f"{host}:{port}"
        self._worker = asyncio.create_task(self._work())

    def callback_disconnected(self, exc: Exception | None) -> None:
        """Forget the requests that nobody waits for any more."""
        super().callback_disconnected(exc)
        if self._worker is not None:
            self._worker.cancel()

    def data_received(self, data: bytes) -> None:
        """Take every whole frame; unlike the base class, also when several or a part of one arrive."""
        mono_ns = time.monotonic_ns()
        data = self._partial + data if self._partial else data
        used = 0
        while len(data) - used >= MBAP_SIZE:
            protocol, length = struct.unpack_from(">HH", data, used + 2)
            if protocol != 0 or not MIN_MBAP_LENGTH <= length <= MAX_MBAP_LENGTH:
                self.drop()
                return
            end = used + 6 + length
            if end > len(data):
                break
            self._take(data[used:end], mono_ns)
            used = end
        self._partial = data[used:]

    def drop(self) -> None:
        """Close the connection at once."""
        if (transport := self._open_transport()) is not None:
            transport.abort()

    def _take(self, frame: bytes, mono_ns: int) -> None:
        try:
            _, pdu = self.framer.handleFrame(frame, 0, 0)
        except (ModbusIOException, ValueError, IndexError, struct.error):
            self._refuse_frame(frame)
            return
        if self._requests.qsize() >= MAX_WAITING:
            self.drop()
        elif pdu is not None:
            self._requests.put_nowait(_Request(pdu, mono_ns))

    def _refuse_frame(self, frame: bytes) -> None:
        """Answer a frame whose function is unknown or whose body cannot be decoded."""
        self._send(
            ExceptionResponse(
                frame[7] & 0x7F,
                ILLEGAL_FUNCTION,
                device_id=frame[6],
                transaction=int.from_bytes(frame[:2], "big"),
            )
        )

    async def _work(self) -> None:
        while True:
            await self._serve(await self._requests.get())

    async def _serve(self, request: _Request) -> None:
        pdu = request.pdu
        is_write = pdu.function_code in WRITE_FUNCTIONS
        fault = self.server.fault
        if fault is not None and not fault.touches(write=is_write):
            fault = None
        if fault is not None and fault.kind is FaultKind.SLOW:
            await asyncio.sleep(fault.delay_s)
        response = await self._respond(pdu, fault)
        if is_write:
            self._record_write(request, response)
        if response is not None:
            response.transaction_id = pdu.transaction_id
            response.dev_id = pdu.dev_id
            if pdu.function_code == READ_FUNCTION and not response.isError():
                exposures = self.server.device.record.exposures
                exposures.carried(pdu.address, pdu.count, time.monotonic_ns())
            self._send(response)

    async def _respond(self, pdu: ModbusPDU, fault: Fault | None) -> ModbusPDU | None:
        """Return the answer to `pdu`, carried out unless `fault` prevents it; `None` is silence."""
        match fault.kind if fault is not None else None:
            case FaultKind.HANG | FaultKind.REFUSE:
                return None
            case FaultKind.CLOSE:
                self.drop()
                return None
            case FaultKind.EXCEPTION if fault is not None:
                return ExceptionResponse(pdu.function_code, fault.code)
            case FaultKind.IGNORE_WRITES:
                return _pretend_done(pdu)
            case _:
                return await self._carry_out(pdu)

    async def _carry_out(self, pdu: ModbusPDU) -> ModbusPDU:
        if pdu.dev_id != self.server.unit:
            return ExceptionResponse(pdu.function_code, NO_SUCH_UNIT)
        known = (
            ReadHoldingRegistersRequest,
            WriteSingleRegisterRequest,
            WriteMultipleRegistersRequest,
        )
        if not isinstance(pdu, known) or pdu.function_code not in {READ_FUNCTION, *WRITE_FUNCTIONS}:
            return ExceptionResponse(pdu.function_code, ILLEGAL_FUNCTION)
        # pymodbus annotates only its old data model here; its own server passes the new one too.
        context = cast("Any", self.server.context)
        return await pdu.datastore_update(context, pdu.dev_id)

    def _record_write(self, request: _Request, response: ModbusPDU | None) -> None:
        pdu, writes = request.pdu, self.server.device.record.writes
        result = "unanswered"
        if response is not None:
            is_error = isinstance(response, ExceptionResponse)
            result = f"exception {response.exception_code}" if is_error else "ok"
        words = [int(word) for word in pdu.registers]
        writes.append(
            WriteRecord(
                index=writes.next_index,
                device=self.server.device.name,
                mono_ns=request.mono_ns,
                wall_ns=request.wall_ns,
                unit=pdu.dev_id,
                function=pdu.function_code,
                address=pdu.address,
                words=words,
                values=describe_write(pdu.address, words),
                result=result,
                client=self._peer,
            )
        )

    def _send(self, response: ModbusPDU) -> None:
        """Hand the answer to the socket; unlike the base class, keep a half-received next request."""
        if (transport := self._open_transport()) is not None:
            transport.write(self.framer.buildFrame(response))

    def _open_transport(self) -> asyncio.Transport | None:
        """Return the transport, which pymodbus sets to `None` once the connection is lost."""
        return cast("asyncio.Transport | None", self.transport)


def _pretend_done(pdu: ModbusPDU) -> ModbusPDU:
    """Return the answer of a write that was not carried out."""
    if isinstance(pdu, WriteSingleRegisterRequest):
        return WriteSingleRegisterResponse(address=pdu.address, registers=pdu.registers)
    return WriteMultipleRegistersResponse(address=pdu.address, count=pdu.count)


def bind(host: str, port: int) -> socket.socket:
    """Return a socket bound to `host` and `port` (0: any free port).

    Raises:
        PortInUseError: if something else listens there or the address is not this machine's.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise PortInUseError(host, port, error) from error
    listener.setblocking(False)
    return listener


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


class DeviceServer(ModbusTcpServer):
    """The Modbus TCP server of one device."""

    def __init__(self, device: SimulatedDevice, listener: socket.socket, *, unit: int) -> None:
        """Serve `device` as `unit` on the bound socket `listener`, which this object then owns."""
        self.device = device
        self.unit = unit
        self.fault: Fault | None = None
        self.host: str = listener.getsockname()[0]
        self.port: int = listener.getsockname()[1]
        super().__init__(sim_device(device, unit), address=(self.host, self.port))
        self._accept_on(listener)

    def callback_new_connection(self) -> _Connection:
        """Serve a new client."""
        return _Connection(self)

    async def inject(self, fault: Fault) -> None:
        """Replace the present fault, if any, by `fault`.

        Raises:
            PortInUseError: if a refusing device should listen again and its port was taken meanwhile.
        """
        await self.end_fault()
        self.fault = fault
        if fault.kind is FaultKind.REFUSE:
            self.close()

    async def end_fault(self) -> None:
        """Behave again; a refusing device listens again on its port.

        Raises:
            PortInUseError: if the port was taken meanwhile.
        """
        fault, self.fault = self.fault, None
        if fault is not None and fault.kind is FaultKind.REFUSE:
            try:
                self._accept_on(bind(self.host, self.port))
            except PortInUseError:
                self.fault = fault
                raise
            await self.listen()

    def _accept_on(self, listener: socket.socket) -> None:
        self.call_create = partial(
            self.loop.create_server, self.handle_new_connection, sock=listener
        )
