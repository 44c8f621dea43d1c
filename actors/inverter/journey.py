"""The spans of one device: its polls, and its writes under the commands that they carry out."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, NamedTuple

from actors.messages import WriteReport, WriteResult
from actors.tracing import Tracer

_REMEMBERED: Final = 16
"""Commands whose writes may still be under way; a newer command replaces what waits."""


class _Command(NamedTuple):
    context: str
    came_ns: int


class Journey:
    """What of a device is traced now."""

    def __init__(self, tracer: Tracer, device_id: str) -> None:
        self._tracer = tracer
        self._device_id = device_id
        self.poll = ""
        """The context of the poll under way, or nothing."""
        self._commands: OrderedDict[tuple[int, bool], _Command] = OrderedDict()

    def poll_begins(self) -> None:
        """Decide whether the next poll is traced."""
        self.poll = self._tracer.perhaps()

    def poll_ends(self, began_ns: int, seq: int) -> None:
        """Tell the poll that began at `began_ns`."""
        self._tracer.end(
            self.poll,
            "poll",
            began_mono_ns=began_ns,
            device_id=self._device_id,
            attributes={"seq": seq},
        )

    def commanded(self, seq: int, context: str, now_ns: int, *, safe: bool) -> None:
        """Remember which trace the command `seq` belongs to."""
        if context:
            self._commands[seq, safe] = _Command(context, now_ns)
            if len(self._commands) > _REMEMBERED:
                self._commands.popitem(last=False)

    def written(self, report: WriteReport) -> str:
        """Tell the write that `report` is about, if its command is traced; return the context of the report."""
        command = self._commands.pop((report.seq, report.safe), None)
        if command is None:
            return ""
        context = self._tracer.follow(command.context)
        self._tracer.end(
            context,
            "write",
            parent=command.context,
            began_mono_ns=command.came_ns,
            device_id=self._device_id,
            attributes={"result": report.result.value, "power_w": report.power_w},
            fault="" if report.result is WriteResult.VERIFIED else report.detail,
        )
        return context
