"""Starts the gateway: everything that must hold before the first process is started, then root."""

from __future__ import annotations

import socket
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import structlog

from actors.safety.statedir import GatewayRunningError, check_state_dir, lock_state_dir
from bessai.config import SiteConfig
from bessai.state import next_generation, running_gateway
from bessai.tree import REPORTERS, WATCHERS, site_cells
from supervision.events import Lifecycle, What
from supervision.root import Root

_ALARMING = {What.CRASHED, What.HUNG, What.KILLED, What.QUARANTINED, What.ESCALATED, What.FLOODED}


class PortInUseError(OSError):
    """Something else listens where /health is to answer."""


def run_gateway(config: SiteConfig, *, chaos_dir: str | None = None) -> int:
    """Run the gateway until it is told to stop; return the exit status of root.

    Raises:
        StateDirError: the state directory cannot be used.
        GatewayRunningError: another gateway uses it.
        PortInUseError: the port of /health is taken.
    """
    with _owned(Path(config.state_dir)):
        check_port(config.api.host, config.api.port)
        root = Root(
            site_cells(config, chaos_dir=chaos_dir),
            generation=next_generation(Path(config.state_dir)),
            watchers=WATCHERS,
            reporters=REPORTERS,
            on_event=log_event,
        )
        return root.run()


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
