"""What the control channel can do: one function per operation, on the devices of one site."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from bessai.simulator.director import Director, check
from bessai.simulator.faults import Fault, FaultKind, fault_of
from bessai.simulator.manners import manners_of
from bessai.simulator.registers import EncodingError

if TYPE_CHECKING:
    from bessai.simulator.server import DeviceServer

Request: TypeAlias = Mapping[str, Any]
Answer: TypeAlias = dict[str, Any]


MAX_TOLD = 20
"""Devices that an error lists one by one."""


class OperationError(Exception):
    """A request that cannot be carried out; its text is the answer."""


class Operations:
    """The operations on `servers`, one server per device."""

    def __init__(
        self,
        servers: Mapping[str, DeviceServer],
        director: Director,
        quit_site: Callable[[], None],
    ) -> None:
        """Operate on `servers` by device name, whose faults are `director`'s; `quit_site` ends the simulator."""
        self._servers = servers
        self._names = {server.port: name for name, server in servers.items()}
        self._director = director
        self._quit_site = quit_site
        self._by_name: dict[str, Callable[[Request], Awaitable[Answer]]] = {
            "devices": self._devices,
            "truth": self._truth,
            "truths": self._truths,
            "writes": self._writes,
            "exposures": self._exposures,
            "set": self._set,
            "override": self._override,
            "clear": self._clear,
            "add_fault": self._add_fault,
            "fault": self._fault,
            "end_fault": self._end_fault,
            "manners": self._manners,
            "quit": self._quit,
        }

    async def run(self, request: Request) -> Answer:
        """Carry out `request` and return its answer.

        Raises:
            OperationError: naming what is wrong and what is valid.
        """
        operation = self._by_name.get(str(request.get("op")))
        if operation is None:
            msg = f"unknown op {request.get('op')!r}; valid: {', '.join(self._by_name)}"
            raise OperationError(msg)
        try:
            return await operation(request)
        except KeyError as error:
            raise OperationError(error.args[0]) from error
        except (TypeError, ValueError, msgspec.ValidationError) as error:
            raise OperationError(str(error)) from error

    def _name(self, request: Request) -> str:
        device = request.get("device")
        name = self._names.get(device) if isinstance(device, int) else device
        if isinstance(name, str) and name in self._servers:
            return name
        told = [f"{name} (port {each.port})" for name, each in self._servers.items()]
        valid = ", ".join(told) if len(told) <= MAX_TOLD else f"{told[0]} to {told[-1]}"
        msg = f"unknown device {device!r}; valid: {valid}"
        raise OperationError(msg)

    def _server(self, request: Request) -> DeviceServer:
        return self._servers[self._name(request)]

    async def _devices(self, _request: Request) -> Answer:
        return {
            "devices": [
                {
                    "name": name,
                    "host": server.host,
                    "port": server.port,
                    "unit": server.unit,
                    "serial_number": server.device.serial_number,
                    "faults": server.behaviour.faults.named(),
                    "manners": server.behaviour.manners,
                }
                for name, server in self._servers.items()
            ]
        }

    async def _truth(self, request: Request) -> Answer:
        return {"truth": self._server(request).device.truth()}

    async def _truths(self, request: Request) -> Answer:
        log = self._server(request).device.record.truths
        return {"truths": log.since(_since(request)), "dropped": log.dropped}

    async def _writes(self, request: Request) -> Answer:
        log = self._server(request).device.record.writes
        return {"writes": log.since(_since(request)), "dropped": log.dropped}

    async def _exposures(self, request: Request) -> Answer:
        return {"exposures": self._server(request).device.record.exposures.since(_since(request))}

    async def _set(self, request: Request) -> Answer:
        device = self._server(request).device
        values = msgspec.convert(request.get("values"), dict[str, float])
        if not values:
            msg = 'set needs "values", for example {"soc_pct": 50}'
            raise OperationError(msg)
        what = "set " + ", ".join(f"{name}={value:g}" for name, value in values.items())
        return {"exposure": device.change(what, lambda: device.set_state(values))}

    async def _override(self, request: Request) -> Answer:
        device = self._server(request).device
        image = device.image
        if "address" in request:
            address = msgspec.convert(request["address"], int)
            words = msgspec.convert(request.get("words"), list[int])
            what = f"override {address}={words}"
            return {"exposure": device.change(what, lambda: image.spoof_words(address, words))}
        name = str(request.get("name"))
        value = request.get("value")
        if "value" not in request:
            msg = 'override needs "name" and "value" (null: the invalid mark), or "address" and "words"'
            raise OperationError(msg)
        if isinstance(value, bool) or not isinstance(value, float | int | str | None):
            msg = f"value of {name!r} must be a number, a text or null, not {value!r}"
            raise EncodingError(msg)
        what = f"override {name}={value}"
        return {"exposure": device.change(what, lambda: image.spoof_value(name, value))}

    async def _clear(self, request: Request) -> Answer:
        device = self._server(request).device
        addresses: list[int] | None = None
        if "name" in request:
            points = device.image.points_named(str(request["name"]))
            addresses = [a for point in points for a in range(point.address, point.end)]
        elif "address" in request:
            addresses = [msgspec.convert(request["address"], int)]
        what = f"clear {request.get('name', request.get('address', 'all'))}"
        return {"exposure": device.change(what, lambda: device.image.clear(addresses))}

    async def _add_fault(self, request: Request) -> Answer:
        device, fault = self._name(request), self._wanted(request)
        name = str(request.get("name") or fault.kind.value)
        await self._director.add(device, name, fault)
        return {"name": name}

    async def _fault(self, request: Request) -> Answer:
        device, fault = self._name(request), self._wanted(request)
        check(self._servers[device], fault)
        await self._director.end_all(device)
        await self._director.add(device, fault.kind.value, fault)
        return {"name": fault.kind.value}

    def _wanted(self, request: Request) -> Fault:
        if "kind" not in request:
            valid = ", ".join(kind.value for kind in FaultKind)
            msg = f'{request["op"]} needs "kind"; valid: {valid}'
            raise OperationError(msg)
        named = {"op", "device", "kind", *(("name",) if request["op"] == "add_fault" else ())}
        given = {key: value for key, value in request.items() if key not in named}
        return fault_of(str(request["kind"]), given)

    async def _end_fault(self, request: Request) -> Answer:
        device = self._name(request)
        if "name" in request:
            await self._director.end(device, str(request["name"]))
        else:
            await self._director.end_all(device)
        return {}

    async def _manners(self, request: Request) -> Answer:
        server = self._server(request)
        given = {key: value for key, value in request.items() if key not in {"op", "device"}}
        server.behaviour.manners = manners_of(given)
        return {"manners": server.behaviour.manners}

    async def _quit(self, _request: Request) -> Answer:
        self._quit_site()
        return {}


def _since(request: Request) -> int:
    return msgspec.convert(request.get("since", 0), int)
