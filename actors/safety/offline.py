"""Resets a trip while the gateway is stopped: nobody measures then, so the next start looks for the cause."""

from __future__ import annotations

from pathlib import Path

from actors.messages import ResetLatch, Role
from actors.safety.latch import LatchRecord, list_latches
from actors.safety.latchbook import LatchBook
from actors.safety.statedir import lock_state_dir
from supervision.clock import Clock


class NotLatchedError(Exception):
    """A reset was asked for a device that is not tripped."""


class ResetRefusedError(Exception):
    """A reset is not possible now; the message says why."""


def offline_reset(
    state_dir: Path,
    device_id: str,
    *,
    operator: str,
    reason: str,
    clock: Clock,
    resets_per_hour: int,
) -> LatchRecord:
    """End the trip of `device_id` on behalf of `operator`, while the gateway is stopped; return what was reset.

    Raises:
        ValueError: `operator` or `reason` is blank.
        GatewayRunningError: the gateway runs.
        NotLatchedError: the device is not tripped.
        ResetRefusedError: it has been reset too often within the last hour.
        JournalError: the journal is corrupt.
        OSError: the reset could not be written; the device may still be tripped.
    """
    order = ResetLatch(
        device_id=device_id, mono_ns=0, seq=0, operator=operator, role=Role.OPERATOR, reason=reason
    )
    with lock_state_dir(state_dir):
        latched = list_latches(state_dir)
        book = LatchBook(
            state_dir, resets_per_hour=resets_per_hour, clock=clock, tell=lambda *_: None
        )
        book.open(())
        rule, why = book.why_not(order)
        match rule:
            case "":
                pass
            case "not_latched":
                tripped = ", ".join(latched) or "none"
                raise NotLatchedError(
                    f"device {device_id!r} is not tripped; tripped are: {tripped}"
                )
            case "operator" | "reason":
                raise ValueError(why)
            case _:
                raise ResetRefusedError(why)
        fault = book.reset(order)
        if fault:
            raise OSError(fault)
        return latched[device_id]
