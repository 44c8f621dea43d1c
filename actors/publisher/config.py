"""What a PublisherActor must be told."""

from __future__ import annotations

from typing import Annotated

import msgspec

_Positive = Annotated[int, msgspec.Meta(ge=1)]


class PublisherConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where messages are kept and how they leave.

    The figures for the group commit follow from measurement: how many messages share a commit, not the engine,
    decides flash wear.
    """

    site_id: Annotated[str, msgspec.Meta(min_length=1)]
    state_dir: Annotated[str, msgspec.Meta(min_length=1)]
    """Directory that holds `spool.db` and, for the file sink, `published/`."""
    quota_mb: _Positive = 256
    """Size of the waiting messages at which the oldest are evicted; the file may be twice as large."""
    commit_messages: _Positive = 100
    """A commit is made at the latest with this many messages ..."""
    commit_s: Annotated[float, msgspec.Meta(gt=0)] = 0.2
    """... or when the oldest has waited this long."""
    buffer_messages: _Positive = 10_000
    """Messages kept in memory while the spool cannot be written; beyond it the oldest are dropped and counted."""
    held_samples: _Positive = 1_000
    """Samples kept in memory while their device's schema is unknown."""
    file_max_mb: _Positive = 64
    """Size at which the file sink begins a new file; it also does so every UTC day."""
    file_keep_mb: _Positive = 1024
    """Total size of published files; beyond it the oldest whole files are removed, and named in the log."""
