"""What `bessai history` does: read history.db beside the gateway that writes it."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import time
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click
import msgspec

from actors.publisher.encode import rfc3339
from actors.publisher.history_query import HistoryReader
from bessai.exit_codes import MISUSED, UNUSABLE, fail
from supervision.clock import NS_PER_S

_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_MAX_EVENTS: Final = 10_000


def show_points(path: Path, device: str) -> None:
    """Print the names of what is kept of `device`."""
    with _reader(path) as reader:
        points = reader.points(device)
    if not points:
        fail(UNUSABLE, f"{path} has nothing of {device!r}")
    click.echo("\n".join(points))


def show_values(
    path: Path, device: str, point: str, *, begin: str, end: str, every: str, as_json: bool
) -> None:
    """Print a line for each stretch of `every` that has a value."""
    every_s = _duration_s("--every", every)
    if every_s <= 0:
        fail(MISUSED, f"--every {every!r} is not allowed: expected more than 0s")
    now_s = time.time()
    bounds = (_moment_s("--from", begin, now_s), _moment_s("--to", end, now_s))
    with _reader(path) as reader:
        buckets = reader.query(device, point, *bounds, every_s)
    if not buckets:
        fail(UNUSABLE, f"{path} has nothing of {device!r} {point!r} in that time")
    if not as_json:
        click.echo(f"{'time (UTC)':20} {'samples':>8} {'low':>12} {'mean':>12} {'high':>12}")
    for bucket in buckets:
        when = rfc3339(int(bucket.start_s * NS_PER_S))
        if as_json:
            click.echo(msgspec.json.encode({"time": when, **bucket._asdict()}))
        else:
            figures = f"{bucket.low:12.6g} {bucket.mean:12.6g} {bucket.high:12.6g}"
            click.echo(f"{when[:19]}Z {bucket.samples:8} {figures}")


def show_events(path: Path, device: str, *, begin: str, end: str, as_json: bool) -> None:
    """Print what happened to `device`, the newest last."""
    now_s = time.time()
    bounds = (_moment_s("--from", begin, now_s), _moment_s("--to", end, now_s))
    with _reader(path) as reader:
        events = reader.events(device, *bounds, limit=_MAX_EVENTS)
    for event in events:
        if as_json:
            click.echo(event.body)
            continue
        told = msgspec.json.decode(event.body)
        words = [str(told[key]) for key in ("kind", "event", "rule", "detail") if told.get(key)]
        click.echo(f"{rfc3339(event.wall_ns)[:19]}Z {' '.join(words)}")


@contextlib.contextmanager
def _reader(path: Path) -> Generator[HistoryReader, None, None]:
    if not path.is_file():
        fail(UNUSABLE, f"there is no history {path}: name the state directory with --state-dir")
    try:
        with contextlib.closing(HistoryReader(path)) as reader:
            yield reader
    except sqlite3.Error as error:
        fail(UNUSABLE, f"the history {path} cannot be read: {error}")


def _moment_s(option: str, text: str, now_s: float) -> float:
    if re.fullmatch(r"\d+[smhd]", text):
        return now_s - _duration_s(option, text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        fail(
            MISUSED,
            f"{option} {text!r} is not allowed: expected a time such as 2026-11-25T06:00, or how long ago: 24h",
        )
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _duration_s(option: str, text: str) -> float:
    found = re.fullmatch(r"(\d+)([smhd])", text)
    if found is None:
        fail(MISUSED, f"{option} {text!r} is not allowed: expected a number and s, m, h or d: 15m")
    return int(found[1]) * _UNITS_S[found[2]]
