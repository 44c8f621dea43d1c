"""What a PublisherActor must be told."""

from __future__ import annotations

from typing import Annotated

import msgspec

from actors.publisher.command_config import CommandPath, CommandsConfig
from actors.publisher.sink_config import MqttConfig, PubsubConfig, SinkKind
from actors.publisher.tracing_config import TracingConfig

_Positive = Annotated[int, msgspec.Meta(ge=1)]


class PublisherConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where messages are kept and how they leave.

    The figures for the group commit follow from measurement: how many messages share a commit, not the engine,
    decides flash wear.

    Raises:
        ValueError: a sink or a command path is chosen that is not described.
    """

    site_id: Annotated[str, msgspec.Meta(min_length=1)]
    state_dir: Annotated[str, msgspec.Meta(min_length=1)]
    """Directory that holds `spool.db` and, for the file sink, `published/`."""
    quota_mb: _Positive = 256
    """Size of the stored blocks beyond which the oldest telemetry is evicted; the file may be twice as large."""
    commit_messages: _Positive = 100
    """A commit is made at the latest with this many messages ..."""
    commit_s: Annotated[float, msgspec.Meta(gt=0)] = 0.2
    """... or when the oldest has waited this long."""
    buffer_messages: _Positive = 10_000
    """Messages kept in memory while the spool cannot be written; beyond it no more are taken, and those that the
    control cell cannot keep are dropped and counted."""
    reject_limit: _Positive = 5
    """So often the sink may refuse a message for what it is; then it becomes a dead letter."""
    reserve_mb: Annotated[int, msgspec.Meta(ge=0)] = 8
    """Kept free in a file of its own, given up when the disk is full so that the spool can go on."""
    file_max_mb: _Positive = 64
    """Size at which the file sink begins a new file; it also does so every UTC day."""
    file_keep_mb: _Positive = 1024
    """Total size of published files; beyond it the oldest whole files are removed, and named in the log."""
    history_mb: Annotated[int, msgspec.Meta(ge=0)] = 512
    """Size of the history; beyond it the oldest raw samples leave first. 0: no history."""
    file_compress: bool = True
    """Whether a file that is finished is compressed with gzip."""
    sink: SinkKind = SinkKind.FILE
    """Where messages go."""
    pubsub: PubsubConfig | None = None
    """Needed for the sink `pubsub`, and for commands by Pub/Sub."""
    mqtt: MqttConfig | None = None
    """Needed for the sink `mqtt`, and for commands by MQTT."""
    tracing: TracingConfig = TracingConfig()
    """Where spans go."""
    commands: CommandsConfig | None = None
    """Signed set-point requests from outside; nobody listens without it."""

    def __post_init__(self) -> None:
        """Refuse a choice without its description."""
        for key, chosen in (("sink", self.sink), ("commands.via", self._command_path())):
            name = chosen.value if chosen else ""
            if name in {"pubsub", "mqtt"} and getattr(self, name) is None:
                raise ValueError(
                    f"{key} = {name!r} is not allowed: write [publisher.{name}] that describes it"
                )

    def _command_path(self) -> CommandPath | None:
        return self.commands.via if self.commands else None
