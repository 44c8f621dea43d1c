"""Which cell, that is which process, hosts each actor that the site can do without for a while."""

from __future__ import annotations

from typing import Final

import msgspec

from bessai.judge import NAME

CONTROL: Final = "control"
TRAINER: Final = "trainer"
DEGRADABLE: Final = ("api", "detector", "dispatcher", "publisher")


class CellPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Which cell hosts each degradable actor, and how much memory a cell may have."""

    api: str = "api"
    detector: str = "detector"
    dispatcher: str = "dispatcher"
    publisher: str = "publisher"
    memory_limit_mb: dict[str, int] = {}
    control_realtime: bool = False
    """Whether the control cell gets a real-time priority: nothing else on the machine holds it up then."""
    control_one_processor: bool = True
    """Whether the threads of the control cell stay on one processor, another one after each restart."""
    hung_after_s: float = 5.0
    """A degradable actor without progress for so long is replaced."""

    def __post_init__(self) -> None:
        """Keep learning, HTTP and cloud code out of the control cell."""
        for actor in DEGRADABLE:
            cell = getattr(self, actor)
            if cell in {CONTROL, TRAINER}:
                raise ValueError(
                    f"{actor} = {cell!r} is not allowed: nothing may share the cell {cell!r}"
                )
            if not NAME.fullmatch(cell):
                raise ValueError(
                    f"{actor} = {cell!r} is not allowed: use letters, digits, dots, dashes"
                )
        if not 0.5 <= self.hung_after_s <= 60:  # noqa: PLR2004 - the range is said in the message
            raise ValueError(
                f"hung_after_s = {self.hung_after_s} is not allowed: expected 0.5 to 60"
            )
        for cell, limit in self.memory_limit_mb.items():
            if cell not in self.cells():
                raise ValueError(
                    f"memory_limit_mb names {cell!r}: there are {', '.join(self.cells())}"
                )
            if limit < 32:  # noqa: PLR2004 - an interpreter alone needs half of it
                raise ValueError(
                    f"memory_limit_mb.{cell} = {limit} is not allowed: expected at least 32"
                )

    def cells(self) -> tuple[str, ...]:
        """Return the names of all cells, without repetition."""
        return tuple(
            dict.fromkeys((CONTROL, *(getattr(self, actor) for actor in DEGRADABLE), TRAINER))
        )
