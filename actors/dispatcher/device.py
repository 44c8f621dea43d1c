"""What the dispatcher remembers of one device between two decisions."""

from __future__ import annotations

from collections.abc import Mapping

from actors.dispatcher.config import DispatchedDevice
from actors.dispatcher.prices import Outlook
from actors.dispatcher.situation import Situation
from actors.messages import LinkState, Ruling, SafetyStatus


class DeviceView:
    """The newest trusted values of a device, its link, what SafetyActor says, and when it is its turn."""

    def __init__(self, device: DispatchedDevice, sample_age_s: float) -> None:
        """Know nothing yet; samples older than `sample_age_s` decide nothing."""
        self.device = device
        self.link: LinkState | None = None
        """None until an InverterActor has told."""
        self.safety: SafetyStatus | None = None
        self.last_verdict: tuple[Ruling, str] | None = None
        self.fallbacks = 0
        self._sample_age_s = sample_age_s
        self.trace = ""
        """Of the poll that is decided on, if it is traced."""
        self._good: Mapping[str, float] = {}
        self._sampled_s: float | None = None
        self._due_s = float("-inf")
        self._was_stale = True

    def take(self, good: Mapping[str, float], *, mono_s: float, trace: str = "") -> None:
        """Remember the trusted values of a sample that was taken at `mono_s` on the monotonic clock."""
        self.trace = trace
        self._good = good
        self._sampled_s = mono_s

    def why_stale(self, now_s: float) -> str:
        """Return why nothing may be decided on what is known, or an empty string."""
        if self.link is not None and self.link is not LinkState.ONLINE:
            return f"the device is {self.link.value}"
        if self._sampled_s is None:
            return "no sample has come yet"
        age_s = now_s - self._sampled_s
        return f"the last sample is {age_s:.1f} s old" if age_s > self._sample_age_s else ""

    def is_due(self, now_s: float, period_s: float) -> bool:
        """Return whether to decide now: each `period_s`, and at once when samples begin or cease to be fresh."""
        is_stale = bool(self.why_stale(now_s))
        due = now_s >= self._due_s or is_stale != self._was_stale
        self._was_stale = is_stale
        if due:
            self._due_s = now_s + period_s
        return due

    def situation(self, outlook: Outlook) -> Situation:
        """Return what a policy decides on."""
        return Situation(
            device=self.device,
            outlook=outlook,
            soc_pct=self._good.get("soc_pct"),
            max_charge_w=self._good.get("max_charge_w"),
            max_discharge_w=self._good.get("max_discharge_w"),
            may_charge=self.safety is None or self.safety.may_charge,
            may_discharge=self.safety is None or self.safety.may_discharge,
        )
