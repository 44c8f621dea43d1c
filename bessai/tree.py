"""Which actors a site has, in which cells, under which policy.

The order is the starting order: safety before the devices it judges, control before everything else.
"""

from __future__ import annotations

import zlib

import msgspec

from actors.api.config import ExpectedCell
from actors.inverter.config import InverterConfig, encode_config
from actors.messages import (
    API,
    DETECTOR,
    DISPATCHER,
    PUBLISHER,
    SAFETY,
    WATCHDOG,
    inverter_address,
)
from actors.unacked import LEAST_WINDOW, WINDOW
from actors.watchdog.config import WatchdogConfig
from bessai.cells import CONTROL, DEGRADABLE, TRAINER
from bessai.config import SiteConfig
from bessai.logs import LEVEL_VARIABLE
from supervision.spec import (
    SETUP_VARIABLE,
    CellKind,
    CellSpec,
    ChildSpec,
    Intensity,
    MailboxSpec,
    OnExceeded,
    Restart,
)

CODEC = "actors.messages:CODEC"
WATCHERS = (API, PUBLISHER)
"""Who is told of every lifecycle event."""
REPORTERS = (API, WATCHDOG)
"""Who gets root's report of the whole site."""
CONTROL_SWITCH_INTERVAL_S = 0.0005
"""A tenth of CPython's default: a thread with a limit to enforce does not wait for one that decodes."""
_CONTROL_MEMORY_MB = 256
_INVERTER_TICK_S = 1.5
"""An InverterActor asks to be woken when something is due: this is for what it looks after besides. With a poll every
second it is put off, and comes every sixth second."""
_ORDERS_S = 0.05
"""How often an actor looks for a fault that was ordered."""
_STOP_MARGIN_S = 0.5
"""For what a stop takes beside the waiting for devices."""
_NICE = {API: 5, DETECTOR: 5, DISPATCHER: 5, PUBLISHER: 5, TRAINER: 10}
"""When the processors are short, control comes first: 5 leaves a third of its share, 10 a tenth."""
_UNACKED_KB = 48 << 10
"""What all devices together may keep of samples that are not yet durable; each has its share of it."""
_UNDER_WAY = 2048
"""Samples of all devices that are on their way to the spool at once: half of what the link of a cell holds."""
_SLOT_MS, _SHORT_SLOT_MS = 20, 5
_MANY = 600
"""With more devices polls begin in shorter slots: those that begin together keep one another waiting. With fewer that
would wake threads more often than it is worth."""
_PUBLISHER_MAILBOX = MailboxSpec(telemetry=8192)
"""After a restart hundreds of devices send again at once."""
_MEMORY_MB = {API: 256, DETECTOR: 512, DISPATCHER: 512, PUBLISHER: 256, TRAINER: 1536}
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def site_cells(config: SiteConfig, *, chaos_dir: str | None = None) -> tuple[CellSpec, ...]:
    """Return the cells of the site; with `chaos_dir`, every actor takes faults on order from there."""
    cells = (_control(config), *_degradable(config), _trainer(config))
    cells = tuple(_tell_api(cell, config, cells) for cell in cells)
    return cells if chaos_dir is None else tuple(_with_chaos(cell, chaos_dir) for cell in cells)


def _control(config: SiteConfig) -> CellSpec:
    profiles: dict[str, bytes] = {}
    share_kb = max(_UNACKED_KB // max(len(config.devices), 1), 16)
    devices = [
        msgspec.structs.replace(
            device,
            unacked_kb=min(device.unacked_kb, share_kb),
            unacked_window=min(device.unacked_window, _window(len(config.devices))),
            slot_ms=_slot_ms(len(config.devices)),
        )
        for device in config.devices
    ]
    inverters = [_inverter(device, profiles) for device in devices]
    critical = (SAFETY, *(inverter.name for inverter in inverters))
    children = (
        ChildSpec(
            name=SAFETY,
            factory="actors.safety.actor:build",
            config=msgspec.msgpack.encode(config.safety),
            tick_s=0.05,
            liveness_s=0.5,
        ),
        *inverters,
        ChildSpec(
            name=WATCHDOG,
            factory="actors.watchdog.actor:build",
            config=msgspec.msgpack.encode(WatchdogConfig(cell=CONTROL, critical=critical)),
            tick_s=0.1,
        ),
    )
    return CellSpec(
        name=CONTROL,
        kind=CellKind.CRITICAL,
        codec=CODEC,
        children=children,
        shutdown_s=_shutdown_s(children),
        switch_interval_s=CONTROL_SWITCH_INTERVAL_S,
        memory_limit_mb=_memory(config, CONTROL, _CONTROL_MEMORY_MB + len(devices) // 2),
        realtime=config.cells.control_realtime,
        one_processor=config.cells.control_one_processor,
        environment=_environment(config),
        shared=profiles,
    )


def _window(devices: int) -> int:
    """Return how many samples of each device may be on their way to the spool at once."""
    return min(max(_UNDER_WAY // max(devices, 1), LEAST_WINDOW), WINDOW)


def _slot_ms(devices: int) -> int:
    """Return how far apart polls begin: so that few do at the same time, and no thread is woken for each."""
    return _SLOT_MS if devices <= _MANY else _SHORT_SLOT_MS


def _shutdown_s(children: tuple[ChildSpec, ...]) -> float:
    """Return what a stop may take: pooled actors, that is devices, stop together, the others one after the other."""
    together_s = max((child.shutdown_s for child in children if child.pooled), default=0.0)
    apart_s = sum(child.shutdown_s for child in children if not child.pooled)
    return together_s + apart_s + _STOP_MARGIN_S


def _inverter(device: InverterConfig, profiles: dict[str, bytes]) -> ChildSpec:
    """Return the child for a device; its profile is added to `profiles`, once for all devices that have it."""
    own, profile = encode_config(device)
    key = f"{device.profile.name} {zlib.crc32(profile):08x}"
    profiles[key] = profile
    return ChildSpec(
        name=inverter_address(device.device_id),
        factory="actors.inverter.actor:build",
        config=own,
        shared=key,
        on_exceeded=OnExceeded.QUARANTINE,
        tick_s=_INVERTER_TICK_S,
        tick_when_idle=True,
        pooled=True,
        liveness_s=1.0,
        shutdown_s=device.stop_timeout_s + _STOP_MARGIN_S,
    )


def _degradable(config: SiteConfig) -> list[CellSpec]:
    hosted: dict[str, list[str]] = {}
    for actor in DEGRADABLE:
        hosted.setdefault(getattr(config.cells, actor), []).append(actor)
    return [
        CellSpec(
            name=cell,
            codec=CODEC,
            children=tuple(_child(actor, config) for actor in actors),
            intensity=Intensity(max_restarts=6, window_s=30.0),
            memory_limit_mb=_memory(config, cell, sum(_MEMORY_MB[actor] for actor in actors)),
            environment=_environment(config) | _ONE_THREAD,
            listens_last=PUBLISHER in actors,
            nice=min(_NICE[actor] for actor in actors),
        )
        for cell, actors in hosted.items()
    ]


def _child(actor: str, config: SiteConfig) -> ChildSpec:
    return ChildSpec(
        name=actor,
        factory=f"actors.{actor}.actor:build",
        config=msgspec.msgpack.encode(getattr(config, actor)),
        on_exceeded=OnExceeded.QUARANTINE,
        tick_s=0.2,
        liveness_s=config.cells.hung_after_s,
        start_s=60.0,
        mailbox=_PUBLISHER_MAILBOX if actor == PUBLISHER else MailboxSpec(),
    )


def _trainer(config: SiteConfig) -> CellSpec:
    return CellSpec(
        name=TRAINER,
        kind=CellKind.ON_DEMAND,
        codec=CODEC,
        children=(
            ChildSpec(
                name=TRAINER,
                factory="actors.detector.trainer:build",
                config=msgspec.msgpack.encode(config.detector),
                restart=Restart.TRANSIENT,
                tick_s=1.0,
                liveness_s=120.0,
                start_s=60.0,
            ),
        ),
        liveness_s=30.0,
        start_s=60.0,
        memory_limit_mb=_memory(config, TRAINER, _MEMORY_MB[TRAINER]),
        nice=_NICE[TRAINER],
        environment=_environment(config) | _ONE_THREAD,
    )


def _tell_api(cell: CellSpec, config: SiteConfig, cells: tuple[CellSpec, ...]) -> CellSpec:
    """Give ApiActor the list of what to expect, which is known only when all cells are."""
    expected = tuple(
        ExpectedCell(
            name=c.name, kind=c.kind.value, actors=tuple(child.name for child in c.children)
        )
        for c in cells
    )
    devices = tuple(device.device_id for device in config.devices)
    api = msgspec.structs.replace(config.api, cells=expected, device_ids=devices)
    return _with_children(
        cell,
        tuple(
            msgspec.structs.replace(child, config=msgspec.msgpack.encode(api))
            if child.name == API
            else child
            for child in cell.children
        ),
    )


def _with_chaos(cell: CellSpec, directory: str) -> CellSpec:
    from bessai.chaos import ChaosConfig  # noqa: PLC0415 - never imported unless asked for

    def wrapped(child: ChildSpec) -> ChildSpec:
        chaos = ChaosConfig(
            name=child.name, factory=child.factory, config=child.config, directory=directory
        )
        return msgspec.structs.replace(
            child,
            factory="bessai.chaos:build",
            config=msgspec.msgpack.encode(chaos),
            tick_s=min(child.tick_s, _ORDERS_S),
            tick_when_idle=False,
        )

    return _with_children(cell, tuple(wrapped(child) for child in cell.children))


def _with_children(cell: CellSpec, children: tuple[ChildSpec, ...]) -> CellSpec:
    return msgspec.structs.replace(cell, children=children)


def _memory(config: SiteConfig, cell: str, default_mb: int) -> int:
    return config.cells.memory_limit_mb.get(cell, default_mb)


def _environment(config: SiteConfig) -> dict[str, str]:
    return {SETUP_VARIABLE: "bessai.logs:configure_cell", LEVEL_VARIABLE: config.log_level}
