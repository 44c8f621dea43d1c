"""The answer to /health, judged from what has been heard and the time: pure.

**The rule.** The site is

- `unhealthy` (503) when safety is not being enforced, or nobody can tell: a critical cell or one of its actors is not
  running or unknown; WatchdogActor is expected and its report is missing, old or says that a critical actor is late;
  of some device no safety status was heard recently, or the last evaluation of a device that is online is too old;
  or no safety evaluation has been completed at all;
- `degraded` (200) when safety is enforced but something else is not as it should be: a device is not online, or lags
  behind its polls or loses its connection again and again; its state is unknown, it is tripped or safety has not yet
  seen enough good cycles of it; another cell or actor is not running or unknown; the publisher reports a fault or is
  unknown;
- `healthy` (200) otherwise. Nothing that is unknown is ever part of `healthy`.

A device that is limited (full, empty, warm) is healthy: that is safety at work. `reason` names everything that keeps
the site from `healthy`, the most serious first. What was not heard within its limit is `unknown`: the last value is
not repeated as if it were current.
"""

from __future__ import annotations

import enum
from typing import Final, NamedTuple

import msgspec

from actors.api.config import ApiConfig, ExpectedCell
from actors.api.snapshot import Heard, Snapshot, age_s
from actors.messages import PUBLISHER, WATCHDOG, DeviceState, LinkState, SafetyState
from supervision.events import ActorReport, CellReport, State

UNKNOWN: Final = "unknown"


class Status(enum.Enum):
    """The site in one word."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


class Finding(NamedTuple):
    """Why the site is not healthy."""

    status: Status
    reason: str


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """How a cell, an actor or the publisher stands."""

    state: str
    last_progress_age_s: float | None = None
    """Null where it is unknown."""
    restarts: int | None = None
    reason: str = ""


class CellPart(Part, frozen=True, kw_only=True):
    """How a cell stands."""

    pid: int | None = None
    """Of its process; null where there is none or it is unknown."""
    memory_bytes: int | None = None
    """Resident memory of the process."""


class ActorPart(Part, frozen=True, kw_only=True):
    """How an actor stands."""

    cell: str
    epoch: int | None = None
    """Number of its present incarnation."""


class SafetyPart(msgspec.Struct, frozen=True, kw_only=True):
    """What SafetyActor says of a device."""

    state: str
    may_charge: bool | None = None
    may_discharge: bool | None = None
    rules: tuple[str, ...] = ()
    last_evaluation_age_s: float | None = None


class DevicePart(msgspec.Struct, frozen=True, kw_only=True):
    """How a device stands; progress is its last sample, restarts are its reconnects."""

    state: str
    last_progress_age_s: float | None = None
    restarts: int | None = None
    reason: str = ""
    model: str = ""
    safety: SafetyPart


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The body of the answer, in its order."""

    status: Status
    site_id: str
    uptime_s: float | None
    """Of the site; null until root has been heard once."""
    reason: tuple[str, ...]
    cells: dict[str, CellPart]
    actors: dict[str, ActorPart]
    devices: dict[str, DevicePart]
    publisher: Part | msgspec.UnsetType = msgspec.UNSET
    """Only where the site has a PublisherActor."""

    @property
    def http_status(self) -> int:
        """200, or 503 when safety is not being enforced."""
        return 503 if self.status is Status.UNHEALTHY else 200


def judge(snapshot: Snapshot, config: ApiConfig, now_ns: int) -> Health:
    """Return the health of the site at monotonic `now_ns`."""
    return _Judge(snapshot, config, now_ns).health()


class _Judge:
    """One judgement: fills the sections and collects findings on the way."""

    def __init__(self, snapshot: Snapshot, config: ApiConfig, now_ns: int) -> None:
        self._snapshot = snapshot
        self._config = config
        self._now_ns = now_ns
        self._findings: list[Finding] = []
        self._expected = {name for cell in config.cells for name in cell.actors}

    def health(self) -> Health:
        cells = {cell.name: self._cell(cell) for cell in self._config.cells}
        actors = {
            name: self._actor(cell, cells[cell.name], name)
            for cell in self._config.cells
            for name in cell.actors
        }
        devices = {device_id: self._device(device_id) for device_id in self._config.device_ids}
        self._enforcement()
        publisher = self._publisher() if PUBLISHER in self._expected else msgspec.UNSET
        return Health(
            status=self._worst(),
            site_id=self._config.site_id,
            uptime_s=self._uptime_s(),
            reason=self._reasons(),
            cells=cells,
            actors=actors,
            devices=devices,
            publisher=publisher,
        )

    def _uptime_s(self) -> float | None:
        site = self._snapshot.site
        return None if site is None else _rounded(self._age_s(site.started_ns))

    def _worst(self) -> Status:
        found = {finding.status for finding in self._findings}
        return next((s for s in (Status.UNHEALTHY, Status.DEGRADED) if s in found), Status.HEALTHY)

    def _reasons(self) -> tuple[str, ...]:
        ordered = sorted(self._findings, key=lambda finding: finding.status is Status.DEGRADED)
        return tuple(finding.reason for finding in ordered)

    def _find(self, reason: str, *, critical: bool = False) -> None:
        self._findings.append(Finding(Status.UNHEALTHY if critical else Status.DEGRADED, reason))

    def _age_s(self, mono_ns: int) -> float:
        return age_s(mono_ns, self._now_ns)

    def _cell(self, expected: ExpectedCell) -> CellPart:
        part = self._cell_part(expected)
        if part.state not in _sound_states(expected):
            self._find(_sentence(f"cell {expected.name}", part), critical=_critical(expected))
        return part

    def _cell_part(self, expected: ExpectedCell) -> CellPart:
        report, silence = self._cell_report(expected)
        if report is None:
            return CellPart(state=UNKNOWN, reason=silence)
        beat_age_s = self._age_s(report.beat_ns)
        if report.state is State.RUNNING and beat_age_s > self._config.report_limit_s:
            reason = f"no beat {_since(beat_age_s)}"
            return CellPart(state=UNKNOWN, pid=report.pid or None, reason=reason)
        return CellPart(
            state=report.state.value,
            last_progress_age_s=_rounded(beat_age_s),
            restarts=report.restarts,
            reason=report.reason,
            pid=report.pid or None,
            memory_bytes=report.memory_bytes if report.pid else None,
        )

    def _cell_report(self, expected: ExpectedCell) -> tuple[CellReport | None, str]:
        """Return what root says of a cell, or None and why nothing current is known."""
        site = self._snapshot.site
        if site is None:
            return None, "root has not been heard yet"
        if self._age_s(site.mono_ns) > self._config.report_limit_s:
            return None, f"root was not heard {_since(self._age_s(site.mono_ns))}"
        report = next((cell for cell in site.cells if cell.name == expected.name), None)
        return report, "" if report else "root does not know this cell"

    def _actor(self, cell: ExpectedCell, cell_part: CellPart, name: str) -> ActorPart:
        part = self._actor_part(cell, cell_part, name)
        cell_is_sound = cell_part.state in _sound_states(cell)  # else the cell's finding says it
        if cell_is_sound and part.state not in _sound_states(cell):
            self._find(_sentence(f"actor {name}", part), critical=_critical(cell))
        return part

    def _actor_part(self, cell: ExpectedCell, cell_part: CellPart, name: str) -> ActorPart:
        if cell_part.state == UNKNOWN:
            return ActorPart(
                cell=cell.name, state=UNKNOWN, reason=f"its cell is unknown: {cell_part.reason}"
            )
        if cell_part.state in _WITHOUT_PROCESS:
            return ActorPart(
                cell=cell.name,
                state=_WITHOUT_PROCESS[cell_part.state],
                reason=_of_cell(cell, cell_part),
            )
        report = self._actor_report(cell, name)
        if report is None:
            starting = cell_part.state == State.STARTING.value
            reason = "its cell has not reported it yet"
            return ActorPart(
                cell=cell.name, state=cell_part.state if starting else UNKNOWN, reason=reason
            )
        return self._reported_actor(cell, report)

    def _actor_report(self, cell: ExpectedCell, name: str) -> ActorReport | None:
        report, _ = self._cell_report(cell)
        actors = report.actors if report else ()
        return next((actor for actor in actors if actor.name == name), None)

    def _reported_actor(self, cell: ExpectedCell, report: ActorReport) -> ActorPart:
        progress_age_s = self._age_s(report.progress_ns)
        config = self._config
        limit_s = config.critical_progress_limit_s if _critical(cell) else config.progress_limit_s
        if report.state is State.RUNNING and progress_age_s > limit_s:
            return ActorPart(
                cell=cell.name,
                state=UNKNOWN,
                restarts=report.restarts,
                reason=f"no progress {_since(progress_age_s)}",
            )
        return ActorPart(
            cell=cell.name,
            state=report.state.value,
            last_progress_age_s=_rounded(progress_age_s),
            restarts=report.restarts,
            reason=report.reason,
            epoch=report.epoch,
        )

    def _device(self, device_id: str) -> DevicePart:
        state = self._snapshot.devices.get(device_id)
        sample = self._snapshot.samples.get(device_id)
        heard_age_s = self._age_s(state.mono_ns) if state else float("inf")
        current = state if heard_age_s <= self._config.status_limit_s else None
        part = DevicePart(
            state=current.link.value if current else UNKNOWN,
            last_progress_age_s=_rounded(self._age_s(sample.mono_ns)) if sample else None,
            restarts=current.reconnects if current else None,
            reason=_why(current) if current else f"its state was not heard {_since(heard_age_s)}",
            model=state.model if state else "",
            safety=self._safety(device_id, online=bool(current and _online(current.link))),
        )
        if part.state != LinkState.ONLINE.value or part.reason:
            self._find(_sentence(f"device {device_id}", part))
        return part

    def _safety(self, device_id: str, *, online: bool) -> SafetyPart:
        heard = self._snapshot.safety.get(device_id)
        heard_age_s = self._age_s(heard.heard_ns) if heard else float("inf")
        if heard is None or heard_age_s > self._config.status_limit_s:
            self._find(
                f"safety of {device_id} is unknown: not heard {_since(heard_age_s)}", critical=True
            )
            return SafetyPart(state=UNKNOWN)
        status, evaluation_age_s = heard.status, self._age_s(heard.status.mono_ns)
        if online and evaluation_age_s > self._config.evaluation_limit_s:
            self._find(f"{device_id} was not evaluated {_since(evaluation_age_s)}", critical=True)
        self._notable(heard)
        return SafetyPart(
            state=status.state.value,
            may_charge=status.may_charge,
            may_discharge=status.may_discharge,
            rules=status.rules,
            last_evaluation_age_s=_rounded(evaluation_age_s),
        )

    def _notable(self, heard: Heard) -> None:
        status = heard.status
        if status.state is SafetyState.TRIPPED:
            self._find(
                f"{status.device_id} is tripped: {', '.join(status.rules) or 'no rule told'}"
            )
        if status.state is SafetyState.STARTING:
            self._find(f"{status.device_id} is held safe until enough good cycles have been seen")

    def _enforcement(self) -> None:
        """Find what says that safety as a whole is not being enforced."""
        if not any(_critical(cell) for cell in self._config.cells):
            self._find("no critical cell is configured: nothing enforces safety", critical=True)
        if not any(heard.status.evaluations for heard in self._snapshot.safety.values()):
            self._find("no safety evaluation has been completed yet", critical=True)
        if WATCHDOG not in self._expected:
            return
        report = self._snapshot.watchdog
        report_age_s = self._age_s(report.mono_ns) if report else float("inf")
        if report is None or report_age_s > self._config.status_limit_s:
            self._find(f"the watchdog was not heard {_since(report_age_s)}", critical=True)
        elif not report.progressing:
            late = ", ".join(report.late) or "an actor it does not name"
            self._find(f"the watchdog waits for progress of {late}", critical=True)

    def _publisher(self) -> Part:
        status = self._snapshot.publisher
        status_age_s = self._age_s(status.mono_ns) if status else float("inf")
        if status is None or status_age_s > self._config.status_limit_s:
            part = Part(state=UNKNOWN, reason=f"not heard {_since(status_age_s)}")
        else:
            part = Part(
                state="fault" if status.fault else "delivering",
                last_progress_age_s=_rounded(status_age_s),
                reason=status.fault or status.notice,
            )
        if part.state != "delivering":
            self._find(_sentence("publisher", part))
        return part


_WITHOUT_PROCESS: Final = {
    State.IDLE.value: State.IDLE.value,
    State.BACKING_OFF.value: State.STOPPED.value,
    State.QUARANTINED.value: State.STOPPED.value,
    State.STOPPED.value: State.STOPPED.value,
}
"""The state of the actors of a cell that has no process, by the cell's state."""


def _critical(cell: ExpectedCell) -> bool:
    return cell.kind == "critical"


def _online(link: LinkState) -> bool:
    return link is LinkState.ONLINE


def _why(state: DeviceState) -> str:
    """Return what is wrong with a device: why it is not online, or what it does not keep although it is."""
    return state.reason or (state.trouble if _online(state.link) else "")


def _sound_states(cell: ExpectedCell) -> set[str]:
    """Return the states in which nothing is wrong with a cell or its actors."""
    if cell.kind == "on_demand":
        return {state.value for state in (State.IDLE, State.STARTING, State.RUNNING, State.STOPPED)}
    return {State.RUNNING.value}


def _of_cell(cell: ExpectedCell, part: Part) -> str:
    return f"cell {cell.name} is {part.state}" + (f": {part.reason}" if part.reason else "")


def _sentence(what: str, part: Part | DevicePart) -> str:
    return f"{what} is {part.state}" + (f": {part.reason}" if part.reason else "")


def _since(seconds: float) -> str:
    return "yet" if seconds == float("inf") else f"for {seconds:.1f} s"


def _rounded(seconds: float) -> float | None:
    return None if seconds == float("inf") else round(seconds, 3)
