"""The topics of a site: `prefix/site/device/kind`, its state, and where it hears commands."""

from __future__ import annotations

from typing import Final, NamedTuple

from actors.publisher.record import Record

ONLINE: Final = "online"
OFFLINE: Final = "offline"
GATEWAY: Final = "gateway"
"""Stands where the device stands in records that are about none."""


class Topics(NamedTuple):
    """Names below `prefix` of the site `site_id`, neither of which has a wildcard or a slash in the site's part."""

    prefix: str
    site_id: str

    @property
    def status(self) -> str:
        """Where `online` or `offline` is retained."""
        return f"{self.prefix}/{self.site_id}/status"

    @property
    def command(self) -> str:
        """Where signed set-point requests are heard."""
        return f"{self.prefix}/{self.site_id}/command"

    def of(self, record: Record) -> str:
        """Return where `record` is published."""
        return self.kind(record.device_id or GATEWAY, record.kind)

    def kind(self, device: str, kind: str) -> str:
        """Return where what is of `kind` about `device` is published."""
        return f"{self.prefix}/{self.site_id}/{device}/{kind}"
