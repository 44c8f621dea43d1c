"""How a device behaves on its connections when nothing is wrong with it: it is slow, shy, and talks to one at a time.

The figures of the presets are those that users of these devices report: the inverter's own port answers within
milliseconds but swallows requests right after a connect; a dongle takes 0.3 to 1.3 s and serves a single client.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Mapping

import msgspec

MAX_S = 60.0


class Guests(enum.Enum):
    """What becomes of a client that connects while another is connected."""

    ALL = "all"
    """Every client is served."""
    NEWEST = "newest"
    """The newest is served; the one before is closed."""
    OLDEST = "oldest"
    """The one that is there is served; a new one is closed at once."""


class Manners(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The manners of one device; by default it has none and answers everyone at once."""

    settle_s: float = 0.0
    """Requests that come within this time after the connect are swallowed."""
    gap_s: float = 0.0
    """A request that comes sooner than this after the answer before is swallowed."""
    latency_s: tuple[float, float] = (0.0, 0.0)
    """The shortest and the longest time to an answer."""
    clients: Guests = Guests.ALL
    login: bool = False
    """Whether settings are written only by who has logged in; a device that knows no login then takes none at all."""

    def __post_init__(self) -> None:
        """Refuse times that are no times.

        Raises:
            ValueError: naming the time, its value and its range.
        """
        low, high = self.latency_s
        times = {"settle_s": self.settle_s, "gap_s": self.gap_s, "latency_s": low}
        for name, value_s in {**times, "longest latency_s": high}.items():
            if not 0.0 <= value_s <= MAX_S:
                raise ValueError(f"{name}={value_s:g} must be 0 to {MAX_S:g} seconds")
        if low > high:
            raise ValueError(f"latency_s=[{low:g}, {high:g}] must give the shorter time first")

    @property
    def at_once(self) -> bool:
        """Whether every request is answered where it stands."""
        return (
            self.settle_s == self.gap_s == self.latency_s[1] == 0.0 and self.clients is Guests.ALL
        )

    def latency(self, draw: random.Random) -> float:
        """Return the seconds to the next answer."""
        low, high = self.latency_s
        return draw.uniform(low, high) if high > 0.0 else 0.0

    def swallows(self, now_s: float, *, opened_s: float, answered_s: float | None) -> bool:
        """Tell whether a request of `now_s` is swallowed on a connection of `opened_s`, last answered `answered_s`."""
        if now_s - opened_s < self.settle_s:
            return True
        # A request may have come before the answer ahead of it went out: without a gap, that is fine.
        too_soon = answered_s is not None and now_s - answered_s < self.gap_s
        return too_soon and self.gap_s > 0.0


PRESETS: dict[str, Manners] = {
    "none": Manners(),
    "direct": Manners(settle_s=0.8, latency_s=(0.004, 0.025), clients=Guests.NEWEST),
    "sdongle": Manners(settle_s=0.8, gap_s=0.04, latency_s=(0.3, 1.3), clients=Guests.NEWEST),
}
"""Manners by name: of the inverter's own network port, and of an SDongle in front of it."""


def manners_of(parameters: Mapping[str, object]) -> Manners:
    """Return the manners of `parameters`, laid over those of its `preset`, if it names one.

    Raises:
        ValueError: naming the parameter, and what is valid.
    """
    preset = str(parameters.get("preset", "none"))
    if preset not in PRESETS:
        raise ValueError(f"unknown preset {preset!r}; valid: {', '.join(PRESETS)}")
    start: dict[str, object] = msgspec.to_builtins(PRESETS[preset])
    given = {name: value for name, value in parameters.items() if name != "preset"}
    try:
        return msgspec.convert({**start, **given}, Manners)
    except msgspec.ValidationError as error:
        raise ValueError(f"manners: {error}") from error
