"""What really happened to a device, recorded outside the gateway: truth, writes and exposures.

Times are `time.monotonic_ns()`, which on Linux every process reads from one clock, and `time.time_ns()`.
"""

from __future__ import annotations

import time
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable
    from io import BufferedWriter
    from pathlib import Path

KEEP = 100_000
"""Records of each kind kept in memory per device; older ones are dropped and remain counted."""


class TruthRecord(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The physical state of a device at one instant; powers in watts, battery power + charging."""

    index: int
    device: str
    mono_ns: int
    wall_ns: int
    sim_time_s: float
    steps: int
    soc_pct: float
    temperature_c: float
    ambient_c: float
    battery_power_w: float
    battery_voltage_v: float
    battery_current_a: float
    max_charge_w: float
    max_discharge_w: float
    pv_w: float
    load_w: float
    ac_power_w: float
    grid_export_w: float
    charged_wh: float
    discharged_wh: float
    forced_mode: int
    """47100: 0 stop, 1 charge, 2 discharge."""
    remaining_min: int
    active_mode: int
    """In the numbering of 37006."""
    second_soc_pct: float | None = None
    """Of a second battery unit; SOC, power, current and limits above are those of both."""
    second_power_w: float | None = None
    second_temperature_c: float | None = None


class WriteRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One write request that reached the device, whatever the device answered."""

    index: int
    device: str
    mono_ns: int
    """When its last byte was read from the socket."""
    wall_ns: int
    unit: int
    function: int
    address: int
    words: list[int]
    values: dict[str, float]
    """The registers it names, decoded; empty when it matches none."""
    result: str
    """What it answered, whether or not that arrived: `ok`, `exception N`, or `unanswered` (nothing was done)."""
    client: str
    """Host and port of the sender."""


class ExposureRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A change made on the control channel, and when a response first carried it to a client."""

    index: int
    device: str
    what: str
    set_mono_ns: int
    first_mono_ns: int | None
    """When the first response with any of the changed registers was handed to the socket."""
    registers: dict[str, int]
    """The same per register name (or address, where the register has no name), as far as read."""


Record = TypeVar("Record", TruthRecord, WriteRecord, ExposureRecord)


class Log(Generic[Record]):
    """The last `keep` records of one kind; an index never changes and never repeats."""

    def __init__(self, keep: int = KEEP) -> None:
        """Start empty."""
        self._records: deque[Record] = deque(maxlen=keep)
        self.next_index = 0

    @property
    def dropped(self) -> int:
        """How many records are no longer kept."""
        return self.next_index - len(self._records)

    def append(self, record: Record) -> None:
        """Keep `record`, whose index is `next_index`."""
        self._records.append(record)
        self.next_index += 1

    def since(self, index: int) -> list[Record]:
        """Return the kept records with an index of at least `index`."""
        newest_first = islice(reversed(self._records), max(self.next_index - index, 0))
        return list(newest_first)[::-1]


class _Exposure:
    """An exposure that is still being watched."""

    def __init__(self, index: int, what: str, names: dict[int, str]) -> None:
        self.index = index
        self.what = what
        self.set_mono_ns = time.monotonic_ns()
        self.waiting = names
        self.seen: dict[str, int] = {}

    def carried(self, address: int, count: int, mono_ns: int) -> None:
        for each in [each for each in self.waiting if address <= each < address + count]:
            self.seen.setdefault(self.waiting.pop(each), mono_ns)

    def record(self, device: str) -> ExposureRecord:
        return ExposureRecord(
            index=self.index,
            device=device,
            what=self.what,
            set_mono_ns=self.set_mono_ns,
            first_mono_ns=min(self.seen.values(), default=None),
            registers=dict(self.seen),
        )


class ExposureLog:
    """Watches which responses carry what the control channel changed."""

    def __init__(self, device: str, keep: int = KEEP) -> None:
        """Start empty, for `device`."""
        self._device = device
        self._all: deque[_Exposure] = deque(maxlen=keep)
        self._watched: list[_Exposure] = []
        self._next_index = 0

    @property
    def watching(self) -> bool:
        """Whether any change has not been carried to a client yet."""
        return bool(self._watched)

    def changed(self, what: str, names: dict[int, str]) -> int:
        """Watch for the changed addresses, each with its register's name, and return the exposure's index."""
        exposure = _Exposure(self._next_index, what, dict(names))
        self._next_index += 1
        self._all.append(exposure)
        if names:
            self._watched.append(exposure)
        return exposure.index

    def carried(self, address: int, count: int, mono_ns: int) -> None:
        """Note that a response with these registers was handed to the socket at `mono_ns`."""
        for exposure in self._watched:
            exposure.carried(address, count, mono_ns)
        self._watched = [each for each in self._watched if each.waiting]

    def since(self, index: int) -> list[ExposureRecord]:
        """Return the kept exposures with an index of at least `index`, as far as known now."""
        return [each.record(self._device) for each in self._all if each.index >= index]


class DeviceRecord:
    """All that is recorded about one device."""

    def __init__(self, device: str, keep: int = KEEP) -> None:
        """Start empty, for `device`; `keep` of each kind are kept in memory."""
        self.truths: Log[TruthRecord] = Log(keep)
        self.writes: Log[WriteRecord] = Log(keep)
        self.exposures = ExposureLog(device, keep)


class RecordFiles:
    """truth.jsonl and writes.jsonl in one directory; a record is one JSON line."""

    def __init__(self, directory: Path) -> None:
        """Create the directory and append to the files in it.

        Raises:
            OSError: if the directory cannot be created or written.
        """
        directory.mkdir(parents=True, exist_ok=True)
        self._truth = (directory / "truth.jsonl").open("ab")
        self._writes = (directory / "writes.jsonl").open("ab")
        self._taken: dict[str, tuple[int, int]] = {}

    def take(self, name: str, record: DeviceRecord) -> None:
        """Write what is new in `record` of the device `name` and hand it to the operating system."""
        truths, writes = self._taken.get(name, (0, 0))
        now = (record.truths.next_index, record.writes.next_index)
        if now == (truths, writes):
            return
        _append(self._truth, record.truths.since(truths))
        _append(self._writes, record.writes.since(writes))
        self._taken[name] = now

    def close(self) -> None:
        """Close both files."""
        self._truth.close()
        self._writes.close()


def _append(file: BufferedWriter, records: Iterable[msgspec.Struct]) -> None:
    lines = [msgspec.json.encode(record) + b"\n" for record in records]
    if lines:
        file.writelines(lines)
        file.flush()
