"""What an InverterActor does about set-points and safe commands: pure, time and events are passed in.

A set-point is a lease. It is written when it changes and again before the device's own countdown ends, and when it is
not renewed in time the device is brought to safety without being told. A safe command ends every lease and is owed
until the device reads back as safe: it is tried again, and while the device cannot be reached it is remembered and
comes first when the device is back. Until then no set-point is accepted.
"""

from __future__ import annotations

import msgspec

from actors.inverter.approval import why_not_valid
from actors.inverter.commanded import Held, Running
from actors.inverter.errors import RefusedWriteError
from actors.inverter.failsafe import Failsafe, joined, plan_failsafe
from actors.inverter.flash import Flash
from actors.inverter.jobs import WriteDone, WriteJob
from actors.inverter.profile import WriteSpec
from actors.inverter.write import LiveLimits, WritePlan, plan_power, plan_stop
from actors.messages import (
    LEASE_ENDED,
    ApprovedSetpoint,
    LinkState,
    SafeCommand,
    WriteReport,
    WriteResult,
)
from supervision.clock import NS_PER_S

_RETRY_NS = NS_PER_S
"""Pause between attempts at what is owed or uncertain."""

_RESTS_NS_PER_MIN = 66 * NS_PER_S
"""A device's minute, a tenth longer: its clock is not ours."""

Action = WriteJob | WriteReport


class CommandDesk:
    """Takes commands and outcomes, gives back jobs for the link and reports for the others."""

    def __init__(
        self,
        device_id: str,
        epoch: int,
        failsafe: Failsafe = Failsafe.RELEASE,
        flash: Flash | None = None,
    ) -> None:
        """Begin with nothing commanded, for the incarnation `epoch`; nothing can be before `adopt`."""
        self._failsafe = failsafe
        self._flash = flash or Flash(None, str)
        self._device_id = device_id
        self._epoch = epoch
        self._spec: WriteSpec
        self._deadman_min = 0
        self._renew_after_ns = 0
        self.knows_how = False
        """Whether the device can be commanded, and it has been told how."""
        self._link = LinkState.CONNECTING
        self._reason = "not connected yet"
        self._limits = LiveLimits()
        self._order = (0, 0)
        self._held: Held | None = None
        self._owed: tuple[int, ...] | None = None
        """The safe commands that are not verified yet."""
        self._leaving = False
        """Whether the configured fail-safe mode is owed, and not just the end of forced power."""
        self.contested = ""
        """Why no set-point is taken, although nothing is wrong with the device; set by who watches it."""
        self.lapsed = 0
        """Set-points that nobody renewed in time, so that they were ended here."""
        self.rests_until_ns = 0
        """Until when the device may say that it is forced because the fail-safe mode `zero` was left behind."""
        self._running: dict[int, Running] = {}
        self._retry_at_ns = 0
        self._first_reading = False
        self._number = 0

    def adopt(self, spec: WriteSpec, deadman_min: int) -> None:
        """Command the device as `spec` says from now on, with its own countdown set to `deadman_min`."""
        self._spec = spec
        self._deadman_min = deadman_min
        self._renew_after_ns = int(min(spec.renew_s, deadman_min * 30) * NS_PER_S)
        self.knows_how = not spec.impossible

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
        return self._make_safe(message.seq, now_ns, leaving=message.rule == LEASE_ENDED)

    def done(self, event: WriteDone) -> list[Action]:
        """Take the outcome of a job."""
        running = self._running.pop(event.number, None)
        if running is None:
            return []
        self._retry_at_ns = event.mono_ns + _RETRY_NS
        fault = ""
        if event.result is WriteResult.VERIFIED and running.settles is not None:
            fault = self._flash.settled(running.settles)
        if running.safe:
            rests_ns = int(self._deadman_min * _RESTS_NS_PER_MIN) if running.zero else 0
            self.rests_until_ns = event.mono_ns + rests_ns
            if (
                self._owed is None or self._owed[-1] in running.seqs
            ):  # else a later one is due still
                self._owed = None if event.result is WriteResult.VERIFIED else running.seqs[-1:]
        elif not running.ended and event.result is not WriteResult.REJECTED:
            self._hold(running, event)
        detail = "; ".join(filter(None, (running.note, event.detail, fault)))
        return [
            self._report(
                seq, running.power_w, event.result, detail, event.mono_ns, safe=running.safe
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
        if not self.knows_how:
            self._owed = None  # SafetyActor asks again, and is told that it is not possible
            return []
        if self._owed is not None:
            return [self._safe_job(self._owed)]
        held = self._held
        if held is None or held.settled:
            return []
        if not held.renew_ns:
            return [self._read_back_job(held)]
        # Whatever became of the device meanwhile, it is told again as soon as its limits are known.
        self._held = msgspec.structs.replace(held, renew_ns=1)
        return []

    def forced(self, forced: bool | None, now_ns: int) -> list[Action]:  # noqa: FBT001 - a reading, not a switch
        """Take whether the device follows a forced command: on a new connection, one without a lease is ended."""
        if forced is None or not self._first_reading:
            return []
        self._first_reading = False
        nobodys = forced and self._held is None and not self._running and self._owed is None
        return self._make_safe(0, now_ns) if nobodys else []

    def tick(self, now_ns: int) -> list[Action]:
        """End a lease that was not renewed, repeat what is owed, write again before the countdown ends."""
        end_ns = self._lease_end_ns()
        if end_ns and now_ns >= end_ns:
            return self._end_lease(now_ns)
        if self._running or self._link is not LinkState.ONLINE or now_ns < self._retry_at_ns:
            return []
        if self._owed is not None:
            return [self._safe_job(self._owed)]
        held = self._held
        if held is None or held.settled or now_ns < held.renew_ns:
            return []
        if held.renew_ns == 1 and self._limits.of(held.power_w) is None:
            return []
        self._retry_at_ns = now_ns + _RETRY_NS
        return [self._force(held.seq, held.power_w, held.until_ns, now_ns)]

    def due_ns(self) -> int:
        """Return the monotonic time at which `tick` may have something to do, or 0 if only an event brings it."""
        if self._held is None and self._owed is None and not self._running:
            return 0  # what most devices do most of the time
        held = self._held
        end_ns = self._lease_end_ns()
        due = [end_ns] if end_ns else []
        if not self._running and self._link is LinkState.ONLINE:
            if self._owed is not None:
                due.append(self._retry_at_ns)
            elif held is not None and not held.settled:
                due.append(max(held.renew_ns, self._retry_at_ns))
        return min(due, default=0)

    def last_will(self) -> WriteJob:
        """Return what to write when the incarnation is stopped in order."""
        self._leaving = True
        return self._safe_job(self._owed or (0,), "stopping")

    @property
    def following(self) -> tuple[int, float] | None:
        """The set-point that the device is known to have been given, and nothing is being written: seq and power."""
        held = self._held
        if held is None or held.settled or not held.renew_ns or self._running:
            return None
        return held.seq, held.power_w

    @property
    def idle(self) -> bool:
        """Whether nothing is commanded, being written or owed."""
        resting = self._held is None or self._held.settled
        return resting and not self._running and self._owed is None

    def doubt(self, detail: str, now_ns: int) -> list[Action]:
        """Tell that the set-point which was read back is not followed."""
        held = self._held
        if held is None:
            return []
        return [self._report(held.seq, held.power_w, WriteResult.UNVERIFIED, detail, now_ns)]

    def review(self, now_ns: int, *, rewrite: bool) -> list[Action]:
        """Look whether the device may still be told what it holds, and with `rewrite` tell it again."""
        held = self._held
        if held is None or held.settled:
            return []
        if rewrite:
            return [self._force(held.seq, held.power_w, held.until_ns, now_ns)]
        refusal = self._refused(held.power_w)
        if not refusal:
            return []
        return [self._report(held.seq, held.power_w, WriteResult.REJECTED, refusal, now_ns)]

    def release(self, now_ns: int) -> list[Action]:
        """End forced power that nobody has ordered, or that is not to go on."""
        return self._make_safe(0 if self._held is None else self._held.seq, now_ns)

    def _refusal(self, message: ApprovedSetpoint, sender_epoch: int, now_ns: int) -> str:
        if fault := why_not_valid(message, self._device_id, self._epoch, now_ns):
            return fault
        if (sender_epoch, message.seq) <= self._order:
            return f"seq {message.seq} of epoch {sender_epoch} does not rise above {self._order[1]} of {self._order[0]}"
        if self._link is not LinkState.ONLINE:
            return f"the device is {self._link.value}: {self._reason}"
        if self.contested and message.power_w:
            return self.contested
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
        settles = None
        if power_w and self._flash.holding:
            release, settles = self._flash.release(self._spec, self._limits.persistent)
            plan = joined(release, plan)
        return self._job(
            plan,
            Running(safe=False, seqs=(seq,), power_w=power_w, until_ns=until_ns, settles=settles),
        )

    def _refused(self, power_w: float) -> str:
        """Return why the device may not be told `power_w` now, or nothing."""
        try:
            plan_power(self._spec, power_w, self._limits, self._deadman_min)
        except RefusedWriteError as error:
            return str(error)
        return ""

    def _make_safe(self, seq: int, now_ns: int, *, leaving: bool = False) -> list[Action]:
        """End every lease and owe the safe state; a stop that is under way answers this command too."""
        self._held = None
        self._owed, self._leaving = (seq,), leaving
        stopping = 0
        for number, running in self._running.items():
            answers = running.safe and (leaving or not running.zero)
            stopping = number if answers else stopping
            seqs = (*running.seqs, seq) if answers else running.seqs
            self._running[number] = msgspec.structs.replace(running, seqs=seqs, ended=True)
        if self._link is not LinkState.ONLINE:
            detail = (
                f"the device is {self._link.value} ({self._reason}): remembered until it is back"
            )
            return [self._report(seq, 0.0, WriteResult.UNKNOWN, detail, now_ns, safe=True)]
        if not self.knows_how:
            self._owed = None
            return [
                self._report(
                    seq, 0.0, WriteResult.UNVERIFIED, self._spec.impossible, now_ns, safe=True
                )
            ]
        return [] if stopping else [self._safe_job((seq,))]

    def _begun(self) -> list[Running]:
        """Return the set-points that are being written and that no safe command has ended."""
        return [each for each in self._running.values() if not (each.safe or each.ended)]

    def _lease_end_ns(self) -> int:
        """Return when nobody has renewed what is held or being written; 0 if there is nothing."""
        held = [] if self._held is None else [self._held.until_ns]
        return max([*held, *(each.until_ns for each in self._begun())], default=0)

    def _end_lease(self, now_ns: int) -> list[Action]:
        held, self._held = self._held, None
        seqs = [each.seqs[-1] for each in self._begun() if each.power_w]
        if held is not None and not held.settled:
            seqs.append(held.seq)
        if not seqs:
            return []
        self.lapsed += 1
        return self._make_safe(seqs[-1], now_ns, leaving=True)

    def _hold(self, running: Running, event: WriteDone) -> None:
        certain = event.result is WriteResult.VERIFIED
        renew_ns = event.mono_ns + (self._renew_after_ns if running.wrote else 1) if certain else 0
        self._held = Held(
            seq=running.seqs[-1],
            power_w=running.power_w,
            until_ns=running.until_ns,
            renew_ns=renew_ns,
        )

    def _read_back_job(self, held: Held) -> WriteJob:
        unlimited = LiveLimits(abs(held.power_w), abs(held.power_w))
        checks = plan_power(self._spec, held.power_w, unlimited, self._deadman_min).checks
        running = Running(
            safe=False, seqs=(held.seq,), power_w=held.power_w, until_ns=held.until_ns, wrote=False
        )
        return self._job(WritePlan((), checks), running)

    def _safe_job(self, seqs: tuple[int, ...], why: str = "") -> WriteJob:
        if not self._leaving:
            return self._job(plan_stop(self._spec), Running(safe=True, seqs=seqs))
        mode, limits = self._failsafe, self._limits
        left = plan_failsafe(mode, self._spec, self._flash, limits, self._deadman_min)
        running = Running(
            safe=True,
            seqs=seqs,
            note="; ".join(filter(None, (why, left.note))),
            zero=mode is Failsafe.ZERO and not left.note,
            settles=left.settles,
        )
        return self._job(left.plan, running)

    def _job(self, plan: WritePlan, running: Running) -> WriteJob:
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
