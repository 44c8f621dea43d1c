"""What an InverterActor does about set-points and safe commands: pure, time and events are passed in.

A set-point is a lease. It is written when it changes and again before the device's own countdown ends, and when it is
not renewed in time the device is brought to safety without being told. A safe command ends every lease and is owed
until the device reads back as safe: it is tried again, and while the device cannot be reached it is remembered and
comes first when the device is back. Until then no set-point is accepted.
"""

from __future__ import annotations

import msgspec

from actors.inverter.errors import RefusedWriteError
from actors.inverter.jobs import WriteDone, WriteJob
from actors.inverter.profile import WriteSpec
from actors.inverter.write import LiveLimits, WritePlan, plan_power, plan_stop
from actors.messages import ApprovedSetpoint, LinkState, SafeCommand, WriteReport, WriteResult
from supervision.clock import NS_PER_S

_RETRY_NS = NS_PER_S
"""Pause between attempts at what is owed or uncertain."""

Action = WriteJob | WriteReport


class _Held(msgspec.Struct, frozen=True, kw_only=True):
    """The power that the device is believed to follow."""

    seq: int
    power_w: float
    until_ns: int
    renew_ns: int
    """When it must be written again; 0 while it is uncertain."""

    @property
    def settled(self) -> bool:
        """Whether the device is known to follow nothing, so that nothing can run out."""
        return self.power_w == 0 and self.renew_ns > 0


class _Running(msgspec.Struct, frozen=True, kw_only=True):
    """A write job that has not been answered yet, and the commands that it answers."""

    safe: bool
    seqs: tuple[int, ...]
    power_w: float = 0.0
    until_ns: int = 0
    wrote: bool = True
    """Whether it writes, and so starts the device's countdown again."""
    ended: bool = False
    """Whether a safe command came after it: whatever it does, it is not held."""


class CommandDesk:
    """Takes commands and outcomes, gives back jobs for the link and reports for the others."""

    def __init__(self, device_id: str, epoch: int, spec: WriteSpec, deadman_min: int) -> None:
        """Begin with nothing commanded, for the incarnation `epoch`."""
        self._device_id = device_id
        self._epoch = epoch
        self._spec = spec
        self._deadman_min = deadman_min
        self._renew_after_ns = int(min(spec.renew_s, deadman_min * 30) * NS_PER_S)
        self._link = LinkState.CONNECTING
        self._reason = "not connected yet"
        self._limits = LiveLimits()
        self._order = (0, 0)
        self._held: _Held | None = None
        self._owed: tuple[int, ...] | None = None
        """The safe commands that are not verified yet."""
        self._running: dict[int, _Running] = {}
        self._retry_at_ns = 0
        self._first_reading = False
        self._number = 0

    def set_limits(self, limits: LiveLimits) -> None:
        """Note the device's own limits of this moment."""
        self._limits = limits

    def setpoint(self, message: ApprovedSetpoint, sender_epoch: int, now_ns: int) -> list[Action]:
        """Begin, renew or refuse what SafetyActor approved."""
        refusal = self._refusal(message, sender_epoch, now_ns)
        self._order = max(self._order, (sender_epoch, message.seq))
        if refusal:
            return [
                self._report(message.seq, message.power_w, WriteResult.REJECTED, refusal, now_ns)
            ]
        if self._joins(message):
            return []
        held = self._held
        same = held is not None and not self._running and held.power_w == message.power_w
        if held is not None and same and (held.settled or now_ns < held.renew_ns):
            self._held = msgspec.structs.replace(
                held, seq=message.seq, until_ns=message.lease_until_mono_ns
            )
            return [
                self._report(
                    message.seq,
                    message.power_w,
                    WriteResult.VERIFIED,
                    "held, no write needed",
                    now_ns,
                )
            ]
        return [self._force(message.seq, message.power_w, message.lease_until_mono_ns, now_ns)]

    def safe(self, message: SafeCommand, now_ns: int) -> list[Action]:
        """Bring the device to safety now, or as soon as it is back."""
        return self._make_safe(message.seq, now_ns)

    def done(self, event: WriteDone) -> list[Action]:
        """Take the outcome of a job."""
        running = self._running.pop(event.number, None)
        if running is None:
            return []
        self._retry_at_ns = event.mono_ns + _RETRY_NS
        if running.safe:
            self._owed = None if event.result is WriteResult.VERIFIED else running.seqs[-1:]
        elif not running.ended and event.result is not WriteResult.REJECTED:
            self._hold(running, event)
        return [
            self._report(
                seq, running.power_w, event.result, event.detail, event.mono_ns, safe=running.safe
            )
            for seq in running.seqs
        ]

    def link(self, state: LinkState, reason: str) -> list[Action]:
        """Take the link's new state; on a new connection what is owed comes first, then what is uncertain."""
        self._link, self._reason = state, reason
        self._first_reading = state is LinkState.ONLINE
        if state is not LinkState.ONLINE:
            self._limits = LiveLimits()
            return []
        if self._owed is not None:
            return [self._stop_job(self._owed)]
        held = self._held
        return [self._read_back_job(held)] if held is not None and not held.renew_ns else []

    def forced(self, forced: bool | None, now_ns: int) -> list[Action]:  # noqa: FBT001 - a reading, not a switch
        """Take whether the device follows a forced command: on a new connection, one without a lease is ended."""
        if forced is None or not self._first_reading:
            return []
        self._first_reading = False
        nobodys = forced and self._held is None and not self._running and self._owed is None
        return self._make_safe(0, now_ns) if nobodys else []

    def tick(self, now_ns: int) -> list[Action]:
        """End a lease that was not renewed, repeat what is owed, write again before the countdown ends."""
        if self._held is not None and now_ns >= self._lease_end_ns(self._held):
            return self._end_lease(self._held, now_ns)
        if self._running or self._link is not LinkState.ONLINE or now_ns < self._retry_at_ns:
            return []
        if self._owed is not None:
            return [self._stop_job(self._owed)]
        held = self._held
        if held is None or held.settled or now_ns < held.renew_ns:
            return []
        self._retry_at_ns = now_ns + _RETRY_NS
        return [self._force(held.seq, held.power_w, held.until_ns, now_ns)]

    def last_will(self) -> WriteJob:
        """Return what to write when the incarnation is stopped in order."""
        return self._stop_job(self._owed or ())

    def _refusal(self, message: ApprovedSetpoint, sender_epoch: int, now_ns: int) -> str:
        if message.inverter_epoch != self._epoch:
            return f"approved for incarnation {message.inverter_epoch}, this is {self._epoch}"
        if (sender_epoch, message.seq) <= self._order:
            return f"seq {message.seq} of epoch {sender_epoch} does not rise above {self._order[1]} of {self._order[0]}"
        if now_ns >= message.lease_until_mono_ns:
            return f"the lease ended {(now_ns - message.lease_until_mono_ns) / NS_PER_S:.3f} s ago"
        if self._link is not LinkState.ONLINE:
            return f"the device is {self._link.value}: {self._reason}"
        return "" if self._owed is None else "the safe state has not been verified yet"

    def _joins(self, message: ApprovedSetpoint) -> bool:
        """Let the newest job, if it writes this power already, answer this command too."""
        number = next(reversed(self._running), 0)
        running = self._running.get(number)
        if running is None or running.safe or running.power_w != message.power_w:
            return False
        seqs = (*running.seqs, message.seq)
        self._running[number] = msgspec.structs.replace(
            running, seqs=seqs, until_ns=message.lease_until_mono_ns
        )
        return True

    def _force(self, seq: int, power_w: float, until_ns: int, now_ns: int) -> Action:
        try:
            plan = plan_power(self._spec, power_w, self._limits, self._deadman_min)
        except RefusedWriteError as error:
            return self._report(seq, power_w, WriteResult.REJECTED, str(error), now_ns)
        return self._job(
            plan, _Running(safe=False, seqs=(seq,), power_w=power_w, until_ns=until_ns)
        )

    def _make_safe(self, seq: int, now_ns: int) -> list[Action]:
        """End every lease and owe the safe state; a stop that is under way answers this command too."""
        self._held = None
        self._owed = (seq,)
        stopping = 0
        for number, running in self._running.items():
            stopping = number if running.safe else stopping
            seqs = (*running.seqs, seq) if running.safe else running.seqs
            self._running[number] = msgspec.structs.replace(running, seqs=seqs, ended=True)
        if self._link is not LinkState.ONLINE:
            detail = (
                f"the device is {self._link.value} ({self._reason}): remembered until it is back"
            )
            return [self._report(seq, 0.0, WriteResult.UNKNOWN, detail, now_ns, safe=True)]
        return [] if stopping else [self._stop_job((seq,))]

    def _lease_end_ns(self, held: _Held) -> int:
        return max(held.until_ns, *(running.until_ns for running in self._running.values()), 0)

    def _end_lease(self, held: _Held, now_ns: int) -> list[Action]:
        self._held = None
        return [] if held.settled else self._make_safe(held.seq, now_ns)

    def _hold(self, running: _Running, event: WriteDone) -> None:
        certain = event.result is WriteResult.VERIFIED
        renew_ns = event.mono_ns + (self._renew_after_ns if running.wrote else 1) if certain else 0
        self._held = _Held(
            seq=running.seqs[-1],
            power_w=running.power_w,
            until_ns=running.until_ns,
            renew_ns=renew_ns,
        )

    def _read_back_job(self, held: _Held) -> WriteJob:
        unlimited = LiveLimits(abs(held.power_w), abs(held.power_w))
        checks = plan_power(self._spec, held.power_w, unlimited, self._deadman_min).checks
        running = _Running(
            safe=False, seqs=(held.seq,), power_w=held.power_w, until_ns=held.until_ns, wrote=False
        )
        return self._job(WritePlan((), checks), running)

    def _stop_job(self, seqs: tuple[int, ...]) -> WriteJob:
        return self._job(plan_stop(self._spec), _Running(safe=True, seqs=seqs))

    def _job(self, plan: WritePlan, running: _Running) -> WriteJob:
        self._number += 1
        self._running[self._number] = running
        return WriteJob(
            number=self._number,
            safe=running.safe,
            steps=plan.steps,
            checks=plan.checks,
            expires_ns=running.until_ns,
        )

    def _report(
        self,
        seq: int,
        power_w: float,
        result: WriteResult,
        detail: str,
        mono_ns: int,
        *,
        safe: bool = False,
    ) -> WriteReport:
        return WriteReport(
            device_id=self._device_id,
            seq=seq,
            safe=safe,
            result=result,
            power_w=power_w,
            detail=detail,
            mono_ns=mono_ns,
        )
