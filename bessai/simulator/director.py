"""Lets faults begin and end on the devices of a site, by order or by plan, and records which did and when."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from bessai.simulator.behaviour import Behaviour
from bessai.simulator.faults import Fault, FaultKind
from bessai.simulator.plan import Plan, PlanError, PlannedFault
from bessai.simulator.value_faults import ServedPoint

FOREIGN = "foreign master"
"""What the record of writes names as the client of a foreign write."""


class FaultRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A fault that is planned, begins or ends."""

    event: str
    """`planned`, `begins` or `ends`."""
    device: str
    name: str
    mono_ns: int
    wall_ns: int
    at_s: float | None = None
    """Of a planned one: its beginning and end in seconds after the plan's start, which is `mono_ns`."""
    until_s: float | None = None
    fault: Fault


class SufferingServer(Protocol):
    """What the director asks of a device's server."""

    behaviour: Behaviour

    def points_named(self, name: str) -> Sequence[ServedPoint]:
        """Return the registers of a name or alias, or raise KeyError."""
        ...

    def refuse(self) -> None:
        """Close all connections and accept none, until `accept`."""
        ...

    async def accept(self) -> None:
        """Listen again on the same port, or raise PortInUseError."""
        ...

    def write_as_foreigner(self, point: ServedPoint, value: float) -> None:
        """Have another master write `value` to the register, and record that."""
        ...


class FaultFile:
    """faults.jsonl: a record is one JSON line."""

    def __init__(self, directory: Path) -> None:
        """Create the directory and append to the file in it.

        Raises:
            OSError: if the directory cannot be created or written.
        """
        directory.mkdir(parents=True, exist_ok=True)
        self._file = (directory / "faults.jsonl").open("ab")

    def append(self, records: Sequence[FaultRecord]) -> None:
        """Write `records` and hand them to the operating system."""
        self._file.writelines(msgspec.json.encode(each) + b"\n" for each in records)
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Director:
    """Begins and ends faults on `servers`, one per device name."""

    def __init__(
        self, servers: Mapping[str, SufferingServer], file: FaultFile | None = None
    ) -> None:
        """Direct `servers`; `file` keeps the record, or nothing does."""
        self._servers = servers
        self._file = file
        self._foreigners: dict[tuple[str, str], asyncio.Task[None]] = {}

    async def add(self, device: str, name: str, fault: Fault) -> None:
        """Let `fault` begin on `device` as `name`, in place of one of that name.

        Raises:
            KeyError: if it names a register that the device does not have.
            ValueError: if another master could not write what it should.
            PortInUseError: if it replaces a refusal and the port was taken meanwhile.
        """
        server = self._servers[device]
        check(server, fault)
        if name in server.behaviour.faults.named():
            await self.end(device, name)
        server.behaviour.faults.add(name, fault)
        match fault.kind:
            case FaultKind.REFUSE:
                server.refuse()
            case FaultKind.FOREIGN_WRITES:
                self._foreigners[device, name] = asyncio.create_task(_meddle(server, fault))
            case _:
                pass
        self._note("begins", device, name, fault)

    async def end(self, device: str, name: str) -> None:
        """End the fault `name` of `device`.

        Raises:
            KeyError: with the names of the present faults.
            PortInUseError: if the device should listen again and its port was taken; it goes on refusing.
        """
        server = self._servers[device]
        faults = server.behaviour.faults
        fault = faults.end(name)
        server.behaviour.values.forget()
        if fault.kind is FaultKind.REFUSE and not faults.has(FaultKind.REFUSE):
            try:
                await server.accept()
            except Exception:
                faults.add(name, fault)
                raise
        if (task := self._foreigners.pop((device, name), None)) is not None:
            task.cancel()
        self._note("ends", device, name, fault)

    async def end_all(self, device: str) -> None:
        """End every fault of `device`."""
        for name in list(self._servers[device].behaviour.faults.named()):
            await self.end(device, name)

    def prepare(self, plan: Plan) -> None:
        """Check that the devices have every register that `plan` names, and give them their manners.

        Raises:
            PlanError: naming the file, the fault, the device and the register that is not there.
        """
        for each in plan.faults:
            try:
                check(self._servers[each.device], each.fault)
            except (KeyError, ValueError) as error:
                raise PlanError(f"{plan.source}: {each.name}: {error.args[0]}") from error
        for device, manners in plan.manners.items():
            self._servers[device].behaviour.manners = manners

    async def play(self, plan: Plan) -> None:
        """Let the faults of `plan` begin and end at their times from now on; return when it has ended."""
        start_ns, start_s = time.monotonic_ns(), time.monotonic()
        if self._file is not None:
            self._file.append([_planned(each, start_ns) for each in plan.faults])
        for at_s, begins, each in _in_order(plan):
            await asyncio.sleep(max(start_s + at_s - time.monotonic(), 0.0))
            if begins:
                await self.add(each.device, each.name, each.fault)
            elif each.name in self._servers[each.device].behaviour.faults.named():
                await self.end(each.device, each.name)

    def close(self) -> None:
        """Stop what meddles."""
        for task in self._foreigners.values():
            task.cancel()
        if self._file is not None:
            self._file.close()

    def _note(self, event: str, device: str, name: str, fault: Fault) -> None:
        if self._file is not None:
            record = FaultRecord(
                event=event,
                device=device,
                name=name,
                mono_ns=time.monotonic_ns(),
                wall_ns=time.time_ns(),
                fault=fault,
            )
            self._file.append([record])


def check(server: SufferingServer, fault: Fault) -> None:
    """See whether the device has the register of `fault`, and whether a foreign write is possible.

    Raises:
        KeyError: naming the register, and the valid ones.
        ValueError: if the value of a foreign write does not fit.
    """
    if fault.register:
        points = server.points_named(fault.register)
        if fault.kind is FaultKind.FOREIGN_WRITES:
            for point in points:
                if not point.writable:
                    raise ValueError(f"{point.name} cannot be written; name a control register")
                point.encode(fault.value)


async def _meddle(server: SufferingServer, fault: Fault) -> None:
    while True:
        for point in server.points_named(fault.register):
            server.write_as_foreigner(point, fault.value)
        await asyncio.sleep(fault.every_s)


def _in_order(plan: Plan) -> Iterator[tuple[float, bool, PlannedFault]]:
    """Yield every beginning and end by time; where one ends as another begins, the end comes first."""
    events = [(each.at_s, True, each) for each in plan.faults]
    events += [(each.until_s, False, each) for each in plan.faults]
    # A fault that lasts no time at all still begins before it ends.
    yield from sorted(events, key=lambda e: (e[0], e[1] and e[2].until_s > e[0], not e[1]))


def _planned(each: PlannedFault, start_ns: int) -> FaultRecord:
    return FaultRecord(
        event="planned",
        device=each.device,
        name=each.name,
        mono_ns=start_ns,
        wall_ns=time.time_ns(),
        at_s=each.at_s,
        until_s=each.until_s,
        fault=each.fault,
    )
