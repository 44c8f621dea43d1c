"""Watches what becomes of a device beside our own commands: whether it follows them, and who else commands it. Pure.

A foreign write to a control register, and forced power that nobody ordered, are answered: the set-point that holds is
written again, or the device is brought to safety. That is done a few times only. Two masters that overwrite one another
for ever would hide that there are two, so then set-points are refused and the safe state is asserted once a minute,
each time told. A changed limit or mode of the device is told and never written back: it is its owner's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from actors.inverter.commands import Action, CommandDesk
from actors.inverter.effect import EffectWatch
from actors.inverter.flash import Flash
from actors.inverter.jobs import WriteDone, WriteJob
from actors.inverter.profile import Profile
from actors.inverter.register_watch import RegisterChange, RegisterWatch
from actors.messages import ForeignAction, ForeignWrite, Vitals
from supervision.clock import NS_PER_S

EPISODES = 3
"""So many foreign commands are answered at once within a window. Project's choice."""
WINDOW_NS = 600 * NS_PER_S
EPISODE_NS = 5 * NS_PER_S
"""What comes within this time of the last foreign command belongs to it."""
PACE_NS = 60 * NS_PER_S
"""While masters contest the device, it is made safe and told this often at most."""
MODE_LAG_NS = 3 * NS_PER_S
"""A device may show for this long that it is, or is not, forced after we wrote otherwise. Project's choice."""

Deed = Action | ForeignWrite


class Oversight:
    """What one incarnation knows of one device's obedience."""

    def __init__(
        self,
        device_id: str,
        desk: CommandDesk,
        flash: Flash,
        profile: Profile,
        refresh: Callable[[], None] = lambda: None,
    ) -> None:
        """Begin with nothing seen; `refresh` lets the desk know what was read last of limits and modes."""
        self._refresh = refresh
        self._device_id = device_id
        self._desk = desk
        self._flash = flash
        self._profile = profile
        self._ours, self._flashed = _addresses(profile)
        self._watch = RegisterWatch(profile)
        self._effect = EffectWatch()
        self._doubted_seq = 0
        self._quiet_ns = 0
        """Until when the device may still show what was before our last write."""
        self._episodes: list[int] = []
        self._told_ns: dict[int, int] = {}
        self._asserted_ns = 0

    def submitted(self, job: WriteJob) -> None:
        """Note that `job` is on its way."""
        self._watch.writing(job)
        self._quiet_ns = _NEVER

    def done(self, event: WriteDone) -> None:
        """Note how a job ended."""
        self._watch.done(event)
        self._quiet_ns = event.mono_ns + MODE_LAG_NS

    def look(
        self,
        read: Iterable[tuple[int, Sequence[int]]],
        vitals: Vitals | None,
        began_ns: int,
        now_ns: int,
    ) -> list[Deed]:
        """Take what a poll that began at `began_ns` has read; `vitals` if it has just brought them."""
        changes = [c for address, words in read for c in self._watch.read(address, words, began_ns)]
        if self._profile.write.watched and vitals is not None and began_ns >= self._quiet_ns:
            changes += self._unordered(vitals, now_ns)
        deeds = self._answer(changes, now_ns)
        if vitals is not None:
            deeds += self._judge_effect(vitals, now_ns)
        if self._desk.contested and not self._contest(now_ns):
            self._desk.contested = ""
        return deeds

    def found_forced(self, now_ns: int) -> list[Deed]:
        """Tell that a device which came back follows a command that nobody here gave before it left."""
        name = self._profile.write.forced_point
        change = RegisterChange(name, self._profile.points[name].address, 0.0, 1.0, mode=True)
        return [self._message(change, ForeignAction.SAFE, now_ns)]

    def _judge_effect(self, vitals: Vitals, now_ns: int) -> list[Deed]:
        effect, following = self._profile.write.effect, self._desk.following
        if effect is None or following is None:
            if self._desk.idle:
                self._effect.rest()
            return []
        seq, power_w = following
        self._effect.follow(effect, power_w, now_ns)
        limit_w = vitals.max_charge_w if power_w > 0 else vitals.max_discharge_w
        fault = self._effect.fault(effect, vitals.battery_power_w, limit_w, now_ns)
        if not fault or seq == self._doubted_seq:
            return []
        self._doubted_seq = seq
        return list(self._desk.doubt(fault, now_ns))

    def _unordered(self, vitals: Vitals, now_ns: int) -> list[RegisterChange]:
        """Return that the device follows a command of somebody else, or has left ours."""
        name = self._profile.write.forced_point
        address = self._profile.points[name].address
        desk = self._desk
        if vitals.forced and desk.idle and now_ns > desk.rests_until_ns:
            return [RegisterChange(name, address, 0.0, 1.0, mode=True)]
        if vitals.forced is False and desk.following is not None:
            return [RegisterChange(name, address, 1.0, 0.0, mode=True)]
        return []

    def _answer(self, changes: list[RegisterChange], now_ns: int) -> list[Deed]:
        """Tell every change, and do once what follows from all of them."""
        if not changes:
            return []
        for change in changes:
            if change.address in self._flashed:
                self._flash.forget(change.address)
        self._refresh()
        commands = [change for change in changes if self._commands(change, now_ns)]
        action, deeds = ForeignAction.TOLD, list[Deed]()
        pace_ns = PACE_NS if self._desk.contested else 0
        if commands:
            action, deeds = self._respond(now_ns)
        else:
            deeds += self._desk.review(now_ns, rewrite=False)
        return [*self._tell(changes, action, pace_ns, now_ns), *deeds]

    def _commands(self, change: RegisterChange, now_ns: int) -> bool:
        """Return whether a change commands the battery now.

        While `zero` rests the device says that it is forced, whoever forces it: only the registers show that it is
        somebody else. A 0 there is the device's own countdown, which has ended.
        """
        if change.mode:
            return True
        written = change.address in self._ours and change.address not in self._flashed
        rests = bool(change.new) and now_ns <= self._desk.rests_until_ns
        return written and (rests or not self._desk.idle)

    def _respond(self, now_ns: int) -> tuple[ForeignAction, list[Deed]]:
        desk = self._desk
        if not self._contest(now_ns, begins=True):
            if desk.following is not None:
                return ForeignAction.REASSERTED, list(desk.review(now_ns, rewrite=True))
            return ForeignAction.SAFE, list(desk.release(now_ns))
        if desk.contested and now_ns - self._asserted_ns < PACE_NS:
            return ForeignAction.CONTESTED, []
        desk.contested = (
            f"another master commands the device: {EPISODES} foreign commands within {WINDOW_NS // NS_PER_S} s"
            " were answered; find it and stop it"
        )
        self._asserted_ns = now_ns
        return ForeignAction.CONTESTED, list(desk.release(now_ns))

    def _contest(self, now_ns: int, *, begins: bool = False) -> bool:
        """Return whether there were too many foreign commands lately; count one that `begins`."""
        episodes = self._episodes
        if begins and not (episodes and now_ns - episodes[-1] < EPISODE_NS):
            episodes.append(now_ns)
            del episodes[: -EPISODES - 1]
        return len(episodes) > EPISODES and now_ns - episodes[0] < WINDOW_NS

    def _tell(
        self, changes: list[RegisterChange], action: ForeignAction, pace_ns: int, now_ns: int
    ) -> list[Deed]:
        told: list[Deed] = []
        for change in changes:
            if now_ns - self._told_ns.get(change.address, -PACE_NS) < pace_ns:
                continue
            self._told_ns[change.address] = now_ns
            told.append(self._message(change, action, now_ns))
        return told

    def _message(self, change: RegisterChange, action: ForeignAction, now_ns: int) -> ForeignWrite:
        detail = f"{change.name} (register {change.address}) reads {change.new:g}, expected {change.old:g}"
        if change.mode and change.new:
            detail = "the device follows a forced command that this gateway did not give"
        elif change.mode:
            detail = "the device has left the forced command that this gateway gave"
        return ForeignWrite(
            device_id=self._device_id,
            register=change.address,
            name=change.name,
            old=change.old,
            new=change.new,
            action=action,
            detail=detail,
            mono_ns=now_ns,
        )


_NEVER = 1 << 63


def _addresses(profile: Profile) -> tuple[frozenset[int], frozenset[int]]:
    """Return the registers that this gateway writes, and those of them that are in flash."""
    if "written" not in profile.memo:
        spec = profile.write
        profile.memo["written"] = (
            frozenset(step.address for _, steps in spec.sequences() for step in steps),
            frozenset(step.address for step in spec.hold if step.persistent),
        )
    ours, flashed = profile.memo["written"]
    return ours, flashed
