"""What the log says of one device beside the state of its link: doubts, refusals, lag, and commands that end badly.

What goes on is told when it begins; what is repeated with its cause is told now and then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import structlog

from actors.inverter.doubts import Doubt
from actors.inverter.refusals import Refusal
from actors.messages import ForeignWrite, SafeCommand, WriteReport, WriteResult
from supervision.clock import NS_PER_S

SILENCE_NS = 10 * NS_PER_S
"""A safe command, or a command without success, is told this often."""


class DeviceLog:
    """The log of one device."""

    def __init__(self, device_id: str) -> None:
        """Write lines that name `device_id`."""
        self._log = structlog.get_logger().bind(device=device_id)
        self._told_ns: dict[tuple[str, str], int] = {}

    def doubts(self, doubts: Iterable[Doubt]) -> None:
        """Tell of points that are not believed any more, or are again."""
        for doubt in doubts:
            if doubt.reason:
                self._log.warning("value not believed", point=doubt.point, reason=doubt.reason)
            else:
                self._log.info("value believed again", point=doubt.point)

    def refusals(self, refusals: Iterable[Refusal]) -> None:
        """Tell of requests that are refused from now on, or no more."""
        for refusal in refusals:
            if refusal.reason:
                self._log.warning("requests are refused", kind=refusal.kind, reason=refusal.reason)
            else:
                self._log.info("requests are answered again", kind=refusal.kind)

    def lags(self, reason: str) -> None:
        """Tell that polls are skipped from now on."""
        self._log.warning("the device lags", reason=reason)

    def foreign(self, write: ForeignWrite) -> None:
        """Tell who else commands the device, and what was done about it."""
        self._log.warning("foreign write", reason=write.detail, action=write.action.value)

    def lapsed(self) -> None:
        """Tell that nobody renewed a set-point in time."""
        self._log.warning("lease ended unrenewed")

    def flash(self, left: str) -> None:
        """Tell what an earlier run has left in the device's flash, if anything."""
        if left:
            self._log.warning("flash", reason=left)

    def command(self, message: SafeCommand, now_ns: int) -> None:
        """Tell why the device is made safe."""
        figures = {"rule": message.rule, "reason": message.reason}
        self._now_and_then("made safe", message.rule, now_ns, figures)

    def outcome(self, report: WriteReport, now_ns: int) -> None:
        """Tell of a command that did not end as it should."""
        if report.result is not WriteResult.VERIFIED:
            result = report.result.value
            figures = {"result": result, "reason": report.detail, "safe": report.safe}
            self._now_and_then("command not verified", result, now_ns, figures)

    def _now_and_then(
        self, event: str, of: str, now_ns: int, figures: Mapping[str, object]
    ) -> None:
        if now_ns >= self._told_ns.get((event, of), now_ns):
            self._told_ns[event, of] = now_ns + SILENCE_NS
            self._log.warning(event, **figures)
