"""What an ApiActor must be told: what to expect of the site, and how old news may be."""

from __future__ import annotations

from typing import Annotated

import msgspec

from actors.messages import Role

_Seconds = Annotated[float, msgspec.Meta(gt=0)]


class ExpectedCell(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A cell of the site and the addresses of its actors."""

    name: str
    kind: str
    """`critical`, `degradable` or `on_demand`, as in its CellSpec."""
    actors: tuple[str, ...]


class ApiConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where to listen, what belongs to the site, and after how long a thing unheard of is unknown."""

    site_id: Annotated[str, msgspec.Meta(min_length=1)]
    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8000
    """0 takes a free port; `ApiActor.port` says which."""
    device_ids: tuple[str, ...] = ()
    cells: tuple[ExpectedCell, ...] = ()
    report_limit_s: _Seconds = 2.0
    """Longest age of root's report and of a cell's beat; they come every 0.25 s and 0.1 s."""
    status_limit_s: _Seconds = 3.0
    """Longest age of what actors say once a second."""
    evaluation_limit_s: _Seconds = 3.0
    """Longest age of a device's last safety evaluation; must exceed the poll period."""
    sample_limit_s: _Seconds = 5.0
    """Longest age of what is exported from a sample, score or decision; must exceed the poll period."""
    critical_progress_limit_s: _Seconds = 2.0
    """Longest age of the last progress of an actor in a critical cell ..."""
    progress_limit_s: _Seconds = 7.0
    """... and in another."""
    max_connections: Annotated[int, msgspec.Meta(ge=2)] = 64
    """Beyond it requests are answered 503."""
    response_limit_s: _Seconds = 10.0
    """A connection that completes no response for this long is closed."""
    roles: dict[str, Role] = {}
    """What users of this machine may do at the command socket, by name or number."""
    command_group: str = ""
    """The group that may reach the command socket; empty: its owner alone."""
    state_dir: str = ""
    """Where the command socket is; empty: there is none."""
