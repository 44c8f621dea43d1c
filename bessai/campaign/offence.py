"""What the judge found against the gateway, and how much it could look at."""

from __future__ import annotations

import msgspec


class Offence(msgspec.Struct, frozen=True, kw_only=True):
    """A write or a time that breaks a rule."""

    rule: str
    """Named as in docs/campaign.md."""
    device: str
    from_ns: int
    to_ns: int
    detail: str

    def text(self, start_ns: int) -> str:
        """Return it as people read it, in seconds since `start_ns`."""
        from_s, to_s = (self.from_ns - start_ns) / 1e9, (self.to_ns - start_ns) / 1e9
        return f"{self.rule}: {self.device} at {from_s:.2f} to {to_s:.2f} s: {self.detail}"


class Tally(msgspec.Struct, kw_only=True):
    """How much was judged: a campaign without breaches proves nothing."""

    writes: int = 0
    forced_writes: int = 0
    """Of forced power, by the gateway."""
    clear_writes: int = 0
    """Those of them with nothing wrong before."""
    breaches: int = 0
    clear_breaches: int = 0
    """Those of them of which no moment was excused or hidden."""
    disguised_breaches: int = 0
    """Those with the longer deadline of a set-point that was overridden (see docs/campaign.md)."""
    longest_clear_s: float = 0.0
    """Longest time that was judged without an excuse until the answer."""
    lost_s: float = 0.0
    """Time in which the machine did not get on, of the device that lost most."""

    def add(self, other: Tally) -> None:
        """Add another device's."""
        self.writes += other.writes
        self.forced_writes += other.forced_writes
        self.clear_writes += other.clear_writes
        self.breaches += other.breaches
        self.clear_breaches += other.clear_breaches
        self.disguised_breaches += other.disguised_breaches
        self.longest_clear_s = max(self.longest_clear_s, other.longest_clear_s)
        self.lost_s = max(self.lost_s, other.lost_s)


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """All that was found."""

    offences: list[Offence]
    tally: Tally
