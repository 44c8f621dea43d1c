"""How long each layer of the dead-man takes at worst, as formulas of the configuration: pure.

Every layer is there for the case that the one above it is silent. A figure is the time from that silence to the first
word of the safe state on the wire, for a device that answers; of the last layer, to the end of forced power by the
device's own countdown. What is not configuration is an allowance, named and reasoned below; docs/timing.md repeats the
formulas, and the chaos tests hold the figures with a margin for a loaded machine.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from actors.inverter.config import InverterConfig
from actors.messages import SAFETY, inverter_address
from actors.safety.actor import AT_ONCE, BREATH_NS
from bessai.cells import CONTROL
from bessai.config import SiteConfig
from bessai.tree import site_cells
from supervision.clock import NS_PER_S
from supervision.spec import CellSpec, ChildSpec

TURN_S: Final = 0.1
"""Until an actor that is woken has its turn and its job has reached the wire: p99 is some ms on two cores."""
START_S: Final = 2.0
"""From the start of a control process to its first request: interpreter, imports and actors, below 1 s here."""
IDENTIFY_READS: Final = 3
"""Requests by which a device is identified before anything is written."""


class Deadline(NamedTuple):
    """The worst case of one layer."""

    silent: str
    """Who falls silent."""
    answers: str
    """Who acts then, and how."""
    formula: str
    """In keys of the configuration and constants of this file."""
    seconds: float


def deadlines(config: SiteConfig, device_id: str) -> tuple[Deadline, ...]:
    """Return the deadlines of `device_id`, the innermost layer last.

    Raises:
        StopIteration: there is no such device.
    """
    device = next(each for each in config.devices if each.device_id == device_id)
    control = next(cell for cell in site_cells(config) if cell.name == CONTROL)
    return (
        _dispatcher(config, device, control),
        _safety(config, device),
        _inverter(device, control),
        _cell(device, control),
        _root(device),
        _everything(device),
    )


def wire_s(device: InverterConfig) -> float:
    """Return how long a safe write may wait for the wire: for an earlier answer, and for the gap after it."""
    timing = device.timing()
    return timing.abandon_s + timing.gap_s + TURN_S


def breaths_s(config: SiteConfig) -> float:
    """Return how long SafetyActor pauses for measurements while it looks at all devices at once."""
    return len(config.devices) // AT_ONCE * BREATH_NS / NS_PER_S


def connect_s(device: InverterConfig) -> float:
    """Return how long the first connection takes until something may be written, if the device answers at once."""
    timing = device.timing()
    return device.phase_s + timing.connect_delay_s + IDENTIFY_READS * timing.gap_s


def _dispatcher(config: SiteConfig, device: InverterConfig, control: CellSpec) -> Deadline:
    return Deadline(
        "dispatcher, operator or cloud",
        "the request expires at SafetyActor, which leads its power to 0 and commands the fail-safe mode",
        "ttl_s + ramp_down_s + tick of SafetyActor + breaths + wire",
        config.dispatcher.ttl_s
        + config.safety.devices[device.device_id].ramp_down_s
        + _child(control, SAFETY).tick_s
        + breaths_s(config)
        + wire_s(device),
    )


def _safety(config: SiteConfig, device: InverterConfig) -> Deadline:
    return Deadline(
        "SafetyActor",
        "the lease ends at the InverterActor, which leaves the device in the fail-safe mode",
        "lease_s + wire",
        config.safety.devices[device.device_id].lease_s + wire_s(device),
    )


def _inverter(device: InverterConfig, control: CellSpec) -> Deadline:
    child = _child(control, inverter_address(device.device_id))
    backoff_s = child.backoff.initial_s * (1 + child.backoff.jitter)
    return Deadline(
        "InverterActor",
        "the control cell restarts it; SafetyActor commands every new incarnation to safety",
        "liveness of the actor + backoff + connect + poll_s + wire",
        child.liveness_s + backoff_s + connect_s(device) + device.poll_s + wire_s(device),
    )


def _cell(device: InverterConfig, control: CellSpec) -> Deadline:
    backoff_s = control.backoff.initial_s * (1 + control.backoff.jitter)
    return Deadline(
        "control cell",
        "root kills it and starts another, which begins by commanding safety",
        "liveness of the cell + backoff + START_S + connect + wire",
        control.liveness_s + backoff_s + START_S + connect_s(device) + wire_s(device),
    )


def _root(device: InverterConfig) -> Deadline:
    return Deadline(
        "root",
        "the control cell sees its link close, and leaves all devices together in the fail-safe mode",
        "wire",
        wire_s(device),
    )


def _everything(device: InverterConfig) -> Deadline:
    return Deadline(
        "everything at once",
        "the device's own countdown ends forced power",
        "deadman_min x 60 s",
        device.deadman() * 60.0,
    )


def _child(cell: CellSpec, name: str) -> ChildSpec:
    return next(child for child in cell.children if child.name == name)
