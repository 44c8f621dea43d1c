"""Every message that actors exchange: the only thing that passes between them.

Each is a frozen msgspec struct, tagged, in one union; `CODEC` turns them to bytes and back. What does not decode is a
dead letter. Raising `VERSION` marks a change that an older reader would misunderstand.

Signs: battery power is positive while charging and negative while discharging, everywhere. Grid power is positive
while the site imports. Ages are taken on the monotonic clock (`*_mono_ns`), stamps on the wall clock (`*_wall_ns`).
"""

from __future__ import annotations

import enum
from typing import Annotated

import msgspec

from supervision.codec import Codec
from supervision.events import Lifecycle, SiteReport

VERSION = 1

BatteryPowerW = Annotated[float, msgspec.Meta(description="watts; + charging, - discharging")]
GridPowerW = Annotated[float, msgspec.Meta(description="watts; + import, - export")]

SAFETY = "safety"
DETECTOR = "detector"
DISPATCHER = "dispatcher"
PUBLISHER = "publisher"
WATCHDOG = "watchdog"
API = "api"

OPERATOR = "operator"
CLOUD = "cloud"
"""Sources of set-point requests, beside the dispatcher."""


def inverter_address(device_id: str) -> str:
    """Return the address of the InverterActor that owns `device_id`."""
    return f"inverter/{device_id}"


class Quality(enum.IntEnum):
    """How far a value may be trusted."""

    GOOD = 0
    STALE = 1
    """Read once, but not in this poll."""
    INVALID = 2
    """The device sent a sentinel or something implausible."""
    MISSING = 3
    """Never read, or not answered."""


class _Message(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """Encoded as an array: field names stay at home, so new fields go last and have a default."""


class LabelInfo(msgspec.Struct, frozen=True, array_like=True):
    """What one number of an enumeration means."""

    number: int
    name: str


class BitInfo(msgspec.Struct, frozen=True, array_like=True):
    """What one bit of a bitfield means."""

    bit: int
    """0 is the least significant."""
    name: str
    id: int = 0
    """The manufacturer's number of the alarm, or 0."""
    severity: str = ""
    """`warning`, `minor` or `major` for an alarm, empty for a state."""


class PointInfo(msgspec.Struct, frozen=True, array_like=True):
    """Name and unit of one place in a sample, and what its numbers or bits mean."""

    name: str
    unit: str
    labels: tuple[LabelInfo, ...] = ()
    """What the numbers of an enumeration mean; a number that is not listed has no name."""
    bits: tuple[BitInfo, ...] = ()

    def meaning(self, value: float) -> str:
        """Return the name of `value`, or the names of its bits that are set; empty where there are none."""
        if self.bits:
            return ", ".join(bit.name for bit in self.bits if int(value) >> bit.bit & 1)
        return next((label.name for label in self.labels if label.number == value), "")


class TextInfo(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Something that a device says of itself in words: a serial number, a version."""

    name: str
    text: str


class DeviceSchema(_Message, frozen=True, tag="schema"):
    """What the values of a device's samples mean, in order; sent at start and when asked for."""

    device_id: str
    schema_id: int
    """Changes whenever the points change; samples name it."""
    points: tuple[PointInfo, ...]
    texts: tuple[TextInfo, ...] = ()
    """What was read of it in words so far; they are no part of samples and do not change `schema_id`."""


class DescribeDevice(_Message, frozen=True, tag="describe"):
    """Ask an InverterActor for its `DeviceSchema`; it answers the sender."""

    device_id: str


class Sample(_Message, frozen=True, tag="sample"):
    """One poll of a device: every point of its schema, in order."""

    device_id: str
    schema_id: int
    seq: int
    """Counts the polls of one incarnation of the InverterActor, from 1."""
    epoch: int
    """That incarnation; (device_id, epoch, seq) names a sample for ever."""
    wall_ns: int
    mono_ns: int
    values: tuple[float | None, ...]
    """In the schema's units; None wherever the quality is invalid or missing."""
    quality: bytes = b""
    """One `Quality` per value, or empty when all are good."""
    prior_seq: int = 0
    """`seq` of the sample before it in the incarnation, so that a gap shows; 0 for the first."""

    def quality_at(self, index: int) -> Quality:
        """Return the quality of the value at `index`."""
        return Quality(self.quality[index]) if self.quality else Quality.GOOD


class Vitals(_Message, frozen=True, tag="vitals"):
    """What safety decides on: sent as soon as these few points are read, before the rest of the poll.

    A value is None unless it was read in this poll, decoded to a finite number and is within the range its profile
    allows; `faults` then says why.
    """

    device_id: str
    seq: int
    epoch: int
    wall_ns: int
    mono_ns: int
    """When the answer arrived."""
    soc_pct: float | None = None
    battery_temperature_c: float | None = None
    battery_power_w: BatteryPowerW | None = None
    battery_voltage_v: float | None = None
    battery_current_a: float | None = None
    """+ charging, - discharging."""
    max_charge_w: float | None = None
    """The device's own limit at this moment, at least 0."""
    max_discharge_w: float | None = None
    """The device's own limit at this moment, as a positive number."""
    forced: bool | None = None
    """Whether the device now follows a forced charge or discharge."""
    faults: tuple[str, ...] = ()
    """`point: reason` for each value that is None though the device should have it."""
    soc_high_pct: float | None = None
    """The fullest of several battery units, while `soc_pct` is the emptiest; None where there is one."""
    battery_temperature_low_c: float | None = None
    """The coldest of several battery units, while `battery_temperature_c` is the hottest; None where there is one."""
    grid_frequency_hz: float | None = None
    grid_voltage_v: float | None = None
    """As the device tells it: between lines where it has three phases."""
    grid_power_w: GridPowerW | None = None
    """What its meter measures; + import."""
    grid_mono_ns: int = 0
    """When the answer with the last of the grid's values arrived: at most one poll before `mono_ns`; 0 if never."""
    absent: tuple[str, ...] = ()
    """Vitals that this device does not have. What is None and not named here is there and could not be read."""


class LinkState(enum.Enum):
    """How an InverterActor stands with its device."""

    CONNECTING = "connecting"
    IDENTIFYING = "identifying"
    ONLINE = "online"
    OFFLINE = "offline"
    REFUSED = "refused"
    """Another device answers at that address: nothing is written to it."""


class ErrorCount(msgspec.Struct, frozen=True, array_like=True):
    """How often one kind of error has happened."""

    kind: str
    count: int


class DeviceState(_Message, frozen=True, tag="device_state"):
    """An InverterActor's link changed, or it repeats how it stands (every two seconds)."""

    device_id: str
    link: LinkState
    mono_ns: int
    reason: str = ""
    model: str = ""
    serial: str = ""
    host: str = ""
    port: int = 0
    reconnects: int = 0
    polls: int = 0
    failed_requests: int = 0
    poll_s: float = 0.0
    """How long the last complete poll took."""
    skipped_polls: int = 0
    """Polls that were due while the one before was still running."""
    errors: tuple[ErrorCount, ...] = ()
    """Requests and connections that failed so far."""
    doubted: int = 0
    """Values that were read but not believed so far: sentinels, out of range, implausible."""
    trouble: str = ""
    """What is wrong with a device that is online: it refuses requests, lags behind its polls, is lost again and
    again."""
    unacked: int = 0
    """Samples that are not yet known to be durable."""
    unacked_lost: int = 0
    """Samples of this incarnation that left memory before they were known to be durable."""


class SetpointRequest(_Message, frozen=True, tag="setpoint_request"):
    """Somebody asks SafetyActor for battery power; not a command."""

    device_id: str
    power_w: BatteryPowerW
    ttl_s: float
    """How long the request is meant to hold, counted from `mono_ns`."""
    mono_ns: int
    seq: int
    """Rises with every request of one source and epoch."""
    source: str
    """In whose name: `operator`, `cloud` or `dispatcher`, each from one actor only."""
    reason: str
    by: str = ""
    """Who asks, where that is a person."""


class Ruling(enum.Enum):
    """What SafetyActor made of a request."""

    ALLOWED = "allowed"
    CLAMPED = "clamped"
    DENIED = "denied"
    EXPIRED = "expired"
    REPLAYED = "replayed"


class SetpointAnswer(_Message, frozen=True, tag="setpoint_answer"):
    """SafetyActor's answer to the asker."""

    device_id: str
    seq: int
    ruling: Ruling
    power_w: BatteryPowerW
    """What was approved; 0 where nothing was."""
    rule: str = ""
    detail: str = ""


class ReleaseSetpoint(_Message, frozen=True, tag="release_setpoint"):
    """Somebody gives up a set-point before its time; SafetyActor answers with a `SetpointAnswer`."""

    device_id: str
    mono_ns: int
    seq: int
    """Counts together with the set-point requests of the same source."""
    source: str
    reason: str
    by: str = ""


class Role(enum.Enum):
    """What a person may do."""

    VIEWER = "viewer"
    """Look, and change nothing."""
    OPERATOR = "operator"
    """Ask for set-points and reset trips."""


class ResetLatch(_Message, frozen=True, tag="reset_latch"):
    """An operator asks SafetyActor to end a trip."""

    device_id: str
    mono_ns: int
    seq: int
    """Counts together with the set-point requests of the same source."""
    operator: str
    role: Role
    reason: str


class ResetAnswer(_Message, frozen=True, tag="reset_answer"):
    """What SafetyActor made of a `ResetLatch`."""

    device_id: str
    seq: int
    done: bool
    rule: str = ""
    """The rule that tripped if it was reset; the rule by which it was not, otherwise."""
    detail: str = ""


class ApprovedSetpoint(_Message, frozen=True, tag="approved_setpoint"):
    """The only message on which an InverterActor writes power: a lease for one incarnation."""

    device_id: str
    power_w: BatteryPowerW
    seq: int
    """Rises with every approval of one SafetyActor incarnation."""
    inverter_epoch: int
    """The incarnation it was issued to; any other refuses it."""
    lease_until_mono_ns: int
    """When the InverterActor returns the device to safety by itself unless renewed."""
    reason: str


class SafeCommand(_Message, frozen=True, tag="safe_command"):
    """Bring the device to its safe state now; accepted by every incarnation and ahead of everything else."""

    device_id: str
    seq: int
    rule: str
    reason: str


class WriteResult(enum.Enum):
    """What is known of a write."""

    VERIFIED = "verified"
    """Read back as written; whether power follows is watched from then on."""
    REJECTED = "rejected"
    """The device refused it: nothing changed."""
    UNVERIFIED = "unverified"
    """Acknowledged, but it reads back otherwise, or measured power does not follow."""
    UNKNOWN = "unknown"
    """No answer: neither done nor not done until read back."""


class WriteReport(_Message, frozen=True, tag="write_report"):
    """How a command ended at the device."""

    device_id: str
    seq: int
    safe: bool
    """Whether it answers a `SafeCommand` (else an `ApprovedSetpoint`)."""
    result: WriteResult
    power_w: BatteryPowerW
    detail: str = ""
    mono_ns: int = 0


class ForeignAction(enum.Enum):
    """What an InverterActor did about a foreign write."""

    TOLD = "told"
    """Nothing but telling it: the register is not ours to write, or nothing was being commanded."""
    REASSERTED = "reasserted"
    """The set-point is written once more."""
    SAFE = "safe"
    """The device is brought to its safe state."""
    CONTESTED = "contested"
    """It happened too often: set-points are refused, and the safe state is asserted now and then only."""


class ForeignWrite(_Message, frozen=True, tag="foreign_write"):
    """A register that controls the battery changed, and not by this gateway; or power is forced that nobody ordered."""

    device_id: str
    register: int
    """Its address."""
    name: str
    """The point of the profile that it is."""
    old: float | None
    """What was last written or read, in the point's unit."""
    new: float | None
    action: ForeignAction
    detail: str
    mono_ns: int


LEASE_ENDED = "lease"
"""The rule of a `SafeCommand` that a set-point's end by itself caused: the configured fail-safe mode is wanted then."""


class SafetyState(enum.Enum):
    """How SafetyActor stands with one device."""

    STARTING = "starting"
    """Safe until enough good cycles have been seen."""
    NORMAL = "normal"
    LIMITED = "limited"
    """At least one direction is closed, and opens by itself when the cause is gone."""
    TRIPPED = "tripped"
    """Latched: only an operator opens it."""


class SafetyStatus(_Message, frozen=True, tag="safety_status"):
    """SafetyActor's view of one device, sent on change and about once a second."""

    device_id: str
    state: SafetyState
    may_charge: bool
    may_discharge: bool
    rules: tuple[str, ...]
    """The rules that now hold, as `name: figures`."""
    evaluations: int
    """Completed evaluations of this incarnation, over all devices."""
    mono_ns: int
    """When this device was last evaluated; 0 if never."""
    setpoint_w: BatteryPowerW = 0.0


class SafetyProgress(_Message, frozen=True, tag="safety_progress"):
    """How far SafetyActor is, for who watches it; a few times a second."""

    evaluations: int
    """Completed evaluations of this incarnation, over all devices."""


class SafetyEvent(_Message, frozen=True, tag="safety_event"):
    """A rule began or ceased to hold, a trip latched, a command was refused: kept and published."""

    device_id: str
    kind: str
    """`began`, `ceased`, `tripped`, `refused`, `reset`, `foreign_write`; or how a set-point's write ended, if
    not verified: `rejected`, `unverified`, `unknown`."""
    rule: str
    detail: str
    wall_ns: int
    mono_ns: int
    seq: int = 0
    """Counts the events of one incarnation of SafetyActor, from 1; 0 where nobody counts."""
    prior_seq: int = 0


class AnomalyScore(_Message, frozen=True, tag="anomaly"):
    """DetectorActor's view of one sample."""

    device_id: str
    seq: int
    mono_ns: int
    wall_ns: int
    z_max: float | None
    """Largest robust z-score of the sample's points; None while too little is known."""
    z_point: str
    """The point it belongs to, or empty."""
    forest_score: float | None
    """IsolationForest score in [0, 1], larger is stranger; None while no model is loaded."""
    anomalous: bool
    model: str = ""
    """Hash of the forest, or empty."""


class ModelReady(_Message, frozen=True, tag="model_ready"):
    """A trainer wrote a model."""

    path: str
    sha256: str
    samples: int
    seconds: float


class DispatchStatus(_Message, frozen=True, tag="dispatch_status"):
    """What DispatcherActor last decided for a device, and by which policy."""

    device_id: str
    policy: str
    """`onnx`, `time_of_use` or `hold`."""
    power_w: BatteryPowerW
    reason: str
    mono_ns: int
    fallbacks: int
    """How often something other than the model had to decide, in this incarnation."""


class SpoolAck(_Message, frozen=True, tag="spool_ack"):
    """PublisherActor tells a sender of numbered messages (`Sample`, `SafetyEvent`) what is durable."""

    epoch: int
    """The incarnation of the sender that it is about."""
    seq: int
    """Every message up to this one is durable, or known to be lost."""
    again: int | None = None
    """If not None: what follows this one has not arrived; send it again from there."""


class SpoolResume(_Message, frozen=True, tag="spool_resume"):
    """A sender begins to send again what was not acknowledged; before `first_seq` it has nothing any more."""

    epoch: int
    first_seq: int
    prior_seq: int
    """What the first one names as the message before it."""
    lost: int = 0
    """Messages that left the sender's memory unacknowledged, and of which the spool may not know."""


class PublisherStatus(_Message, frozen=True, tag="publisher_status"):
    """State of the spool and its sink."""

    sink: str
    accepted: int
    """Messages made durable by this incarnation."""
    delivered: int
    """Messages the sink has acknowledged to this incarnation."""
    waiting: int
    """Durable messages not yet delivered."""
    evicted: int
    spool_bytes: int
    oldest_wall_ns: int
    """Stamp of the oldest waiting message; 0 if none."""
    mono_ns: int
    fault: str = ""
    """Why nothing is made durable or delivered now, or empty."""
    dropped: int = 0
    """Messages lost before they were durable, because the buffer in memory was full."""
    damaged: int = 0
    """Stored messages that failed their checksum: set aside, not delivered."""
    spooling: bool = True
    """Whether the spool is open; if not, what is said of its contents means nothing."""
    notice: str = ""
    """What this incarnation had to set aside, or empty."""
    dead: int = 0
    """Messages that the sink refused for what they are: kept apart by this incarnation."""
    upstream_lost: int = 0
    """Messages that their senders lost before this incarnation could take them."""
    spans_exported: int = 0
    """Spans that the collector took from this incarnation."""
    spans_dropped: int = 0
    """Spans that it did not take, or that found no room."""


Attribute = str | int | float | bool
"""What a span may say of itself beside its name."""


class Span(_Message, frozen=True, tag="span"):
    """A traced piece of work that has ended; PublisherActor exports it."""

    context: str
    """Its own W3C `traceparent`."""
    parent: str
    """That of the work it is a part of, or empty."""
    name: str
    device_id: str
    start_wall_ns: int
    end_wall_ns: int
    attributes: dict[str, Attribute] = {}
    fault: str = ""
    """Why it failed, or empty."""
    links: tuple[str, ...] = ()
    """Contexts of other traces that it served."""


class ActorProgress(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """Progress of one actor as WatchdogActor saw it."""

    name: str
    completed: int
    age_s: float
    """Since its last completed unit of work, or since it was seen with nothing to do."""


class WatchdogReport(_Message, frozen=True, tag="watchdog"):
    """Progress of the control cell's actors."""

    mono_ns: int
    progressing: bool
    """Whether every critical actor progressed within its limit."""
    late: tuple[str, ...]
    actors: tuple[ActorProgress, ...]
    evaluations: int
    """Safety evaluations completed, as last told by SafetyActor."""


Message = (
    DeviceSchema
    | DescribeDevice
    | Sample
    | Vitals
    | DeviceState
    | SetpointRequest
    | SetpointAnswer
    | ReleaseSetpoint
    | ResetLatch
    | ResetAnswer
    | ApprovedSetpoint
    | SafeCommand
    | WriteReport
    | ForeignWrite
    | SafetyStatus
    | SafetyProgress
    | SafetyEvent
    | AnomalyScore
    | ModelReady
    | DispatchStatus
    | SpoolAck
    | SpoolResume
    | PublisherStatus
    | Span
    | WatchdogReport
    | Lifecycle
    | SiteReport
)

CODEC = Codec(Message)
