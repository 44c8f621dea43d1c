"""The control channel: newline-delimited JSON over TCP on the loopback, and the client that tests use.

A request is one line such as `{"op": "set", "device": "d1", "values": {"soc_pct": 3}}`; the answer is one line with
`"ok": true` and the result, or `"ok": false` and `"error"`. A device is named or given by its Modbus port.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any, Self

import msgspec

from bessai.simulator.faults import Fault
from bessai.simulator.manners import Manners
from bessai.simulator.record import ExposureRecord, TruthRecord, WriteRecord

if TYPE_CHECKING:
    from types import TracebackType

    from bessai.simulator.operations import Operations

MAX_LINE = 1 << 20


class SimulatorError(Exception):
    """The simulator refused an operation, or is gone."""


async def serve_control(operations: Operations, listener: socket.socket) -> asyncio.Server:
    """Answer requests on the bound socket `listener` until the returned server is closed."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(msgspec.json.encode(await _answer(operations, line)) + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError, asyncio.CancelledError):
            # The peer left, sent a line beyond MAX_LINE, or the site ends: only this connection is over.
            pass
        finally:
            writer.close()

    return await asyncio.start_server(handle, sock=listener, limit=MAX_LINE)


async def _answer(operations: Operations, line: bytes) -> dict[str, Any]:
    try:
        request = msgspec.json.decode(line, type=dict[str, Any])
    except msgspec.DecodeError as error:
        return {"ok": False, "error": f"not a JSON object on one line: {error}"}
    try:
        return {"ok": True, **await operations.run(request)}
    except Exception as error:  # noqa: BLE001 - isolation boundary: a failed operation is an answer, not the end of the site
        return {"ok": False, "error": str(error) or repr(error)}


class DeviceInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Where a simulated device is served, and how it is now."""

    name: str
    host: str
    port: int
    unit: int
    serial_number: str
    faults: dict[str, Fault]
    """The faults that it has, by name."""
    manners: Manners


class SimulatorClient:
    """A synchronous client of the control channel. `device` is a name such as `d1`, or a Modbus port."""

    def __init__(self, host: str, port: int, *, timeout_s: float = 5.0) -> None:
        """Connect to the control channel at `host` and `port`.

        Raises:
            OSError: if nothing listens there.
        """
        self._socket = socket.create_connection((host, port), timeout=timeout_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._lines = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        """Return the client; leaving the block closes it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection; the simulator goes on."""
        self._lines.close()
        self._socket.close()

    def request(self, op: str, **parameters: object) -> dict[str, Any]:
        """Carry out any operation by its name and return the answer.

        Raises:
            SimulatorError: with the simulator's message, or if it closed the connection.
        """
        self._socket.sendall(msgspec.json.encode({"op": op, **parameters}) + b"\n")
        line = self._lines.readline()
        if not line:
            msg = f"the simulator closed the connection before answering {op!r}"
            raise SimulatorError(msg)
        answer = msgspec.json.decode(line, type=dict[str, Any])
        if not answer["ok"]:
            raise SimulatorError(answer["error"])
        return answer

    def devices(self) -> list[DeviceInfo]:
        """Return the devices in order of port."""
        return msgspec.convert(self.request("devices")["devices"], list[DeviceInfo])

    def truth(self, device: str | int) -> TruthRecord:
        """Return the physical state of `device` now."""
        return msgspec.convert(self.request("truth", device=device)["truth"], TruthRecord)

    def truths(self, device: str | int, since: int = 0) -> list[TruthRecord]:
        """Return the recorded truths of `device` with an index of at least `since`."""
        answer = self.request("truths", device=device, since=since)
        return msgspec.convert(answer["truths"], list[TruthRecord])

    def writes(self, device: str | int, since: int = 0) -> list[WriteRecord]:
        """Return every write that `device` received with an index of at least `since`."""
        answer = self.request("writes", device=device, since=since)
        return msgspec.convert(answer["writes"], list[WriteRecord])

    def exposures(self, device: str | int, since: int = 0) -> list[ExposureRecord]:
        """Return the control channel's changes of `device`, with when a response first carried each."""
        answer = self.request("exposures", device=device, since=since)
        return msgspec.convert(answer["exposures"], list[ExposureRecord])

    def set_state(self, device: str | int, **values: float) -> int:
        """Set physical state or settings by name and return the exposure's index."""
        return int(self.request("set", device=device, values=values)["exposure"])

    def override(self, device: str | int, name: str, value: float | str | None) -> int:
        """Spoof what a register, or all registers of an alias, report; `None` is the vendor's invalid mark."""
        answer = self.request("override", device=device, name=name, value=value)
        return int(answer["exposure"])

    def override_words(self, device: str | int, address: int, words: list[int]) -> int:
        """Spoof raw words from `address` and return the exposure's index."""
        answer = self.request("override", device=device, address=address, words=words)
        return int(answer["exposure"])

    def clear(self, device: str | int, name: str | None = None) -> int:
        """Stop spoofing the register or alias `name`, or everything, and return the exposure's index."""
        named = {} if name is None else {"name": name}
        return int(self.request("clear", device=device, **named)["exposure"])

    def add_fault(
        self, device: str | int, kind: str, *, name: str | None = None, **parameters: object
    ) -> str:
        """Let the fault `kind` begin beside the present ones and return its name (see `faults` for parameters)."""
        named = {} if name is None else {"name": name}
        answer = self.request("add_fault", device=device, kind=kind, **named, **parameters)
        return str(answer["name"])

    def fault(self, device: str | int, kind: str, **parameters: object) -> None:
        """Let the fault `kind` begin in place of all present ones."""
        self.request("fault", device=device, kind=kind, **parameters)

    def end_fault(self, device: str | int, name: str | None = None) -> None:
        """End the fault `name` of `device`, or all that it has."""
        named = {} if name is None else {"name": name}
        self.request("end_fault", device=device, **named)

    def manners(self, device: str | int, preset: str = "none", **parameters: object) -> None:
        """Give `device` the manners of `preset`, with `parameters` in place of its own (see `manners`)."""
        self.request("manners", device=device, preset=preset, **parameters)

    def quit(self) -> None:
        """End the simulator."""
        self.request("quit")
