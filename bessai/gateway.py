"""Starts the gateway: everything that must hold before the first process is started, then root."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import structlog

from actors.messages import WATCHDOG
from actors.safety.statedir import GatewayRunningError, check_state_dir, lock_state_dir
from bessai.config import SiteConfig
from bessai.dumps import keep_dump
from bessai.state import next_generation, running_gateway
from bessai.tree import REPORTERS, WATCHERS, site_cells
from bessai.watchdogs import WatchdogDevice, Watchdogs
from supervision.events import Lifecycle, What
from supervision.notify import Notifier
from supervision.outside import Outside
from supervision.process import may_go_first
from supervision.root import Root

_ALARMING = {What.CRASHED, What.HUNG, What.KILLED, What.QUARANTINED, What.ESCALATED, What.FLOODED}


class RealtimeError(OSError):
    """`cells.control_realtime` is set, and the operating system does not permit it."""


class PortInUseError(OSError):
    """Something else listens where /health is to answer."""


def run_gateway(config: SiteConfig, *, chaos_dir: str | None = None) -> int:
    """Run the gateway until it is told to stop; return the exit status of root.

    Raises:
        StateDirError: the state directory cannot be used.
        GatewayRunningError: another gateway uses it.
        PortInUseError: the port of /health is taken.
        RealtimeError: a real-time priority is asked for and not permitted.
        WatchdogDeviceError: the machine's watchdog cannot be used.
    """
    state_dir = Path(config.state_dir)
    with _owned(state_dir):
        check_port(config.api.host, config.api.port)
        if config.cells.control_realtime:
            check_realtime()
        generation = next_generation(state_dir)
        with _watched(config) as watchdogs:
            root = Root(
                site_cells(config, chaos_dir=chaos_dir),
                generation=generation,
                watchers=WATCHERS,
                reporters=REPORTERS,
                on_event=event_keeper(state_dir),
                outside=Outside(
                    pulse_from=WATCHDOG, on_pulse=watchdogs.take, on_stop=watchdogs.stopping
                ),
            )
            return root.run()


@contextmanager
def _watched(config: SiteConfig) -> Generator[Watchdogs, None, None]:
    """Have the watchdogs that are there kicked; if root fails they are left running, so that they bite."""
    notifier = Notifier.from_environment(os.environ)
    path = config.watchdog.device
    watchdogs = Watchdogs(notifier, WatchdogDevice(path) if path else None)
    yield watchdogs
    watchdogs.close()


@contextmanager
def _owned(state_dir: Path) -> Generator[None, None, None]:
    """Own a usable `state_dir`; whoever has it already is named by its process id where the kernel tells it."""
    check_state_dir(state_dir)
    with ExitStack() as stack:
        try:
            stack.enter_context(lock_state_dir(state_dir))
        except GatewayRunningError as error:
            pid = running_gateway(state_dir)
            who = f" (the gateway is process {pid})" if pid else ""
            raise GatewayRunningError(f"{error}{who}") from error
        yield


def check_realtime() -> None:
    """Refuse to start without the priority that is asked for.

    Raises:
        RealtimeError: it is not permitted.
    """
    if not may_go_first():
        raise RealtimeError(
            "cells.control_realtime = true is not permitted here: allow it (LimitRTPRIO=1 in a systemd unit,"
            " --cap-add SYS_NICE for a container), or leave it out"
        )


def check_port(host: str, port: int) -> None:
    """Refuse to start where /health could not be answered.

    Raises:
        PortInUseError: the port is taken, or the address is not this machine's.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, port))
        except OSError as error:
            raise PortInUseError(
                f"/health cannot be served on {host}:{port}: {error.strerror}."
                " Stop what uses it, or choose another with HEALTH_PORT or api.port"
            ) from error


def event_keeper(state_dir: Path) -> Callable[[Lifecycle], None]:
    """Return what logs every event, and keeps the stacks of hung actors as files."""

    def keep(event: Lifecycle) -> None:
        log_event(event)
        try:
            keep_dump(state_dir, event)
        except OSError as error:
            structlog.get_logger().warning("dump not kept", actor=event.actor, reason=str(error))

    return keep


def log_event(event: Lifecycle) -> None:
    """Write one event in the life of a cell or an actor to the log."""
    log = structlog.get_logger()
    told = {"cell": event.cell, "actor": event.actor or None, "reason": event.reason or None}
    if event.count != 1:
        told["count"] = str(event.count)
    if event.detail:
        told["detail"] = event.detail
    say = log.warning if event.what in _ALARMING else log.info
    say(event.what.value, **{key: value for key, value in told.items() if value is not None})
