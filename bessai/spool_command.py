"""What `bessai spool` does, on the spool of a gateway that is stopped.

SQLite before 3.51.3 can damage a WAL that two processes reset, so a running gateway's spool is left alone: its state
directory is locked, and these commands own the lock while they work.
"""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final

import click
import msgspec

from actors.publisher.database import SpoolError
from actors.publisher.encode import rfc3339
from actors.publisher.losses import Loss
from actors.publisher.record import Record, RecordLane
from actors.publisher.salvage import salvage
from actors.publisher.spool import END, Spool
from actors.safety.statedir import GatewayRunningError, StateDirError, lock_state_dir
from bessai.exit_codes import FAILED, MISUSED, UNUSABLE, fail
from bessai.spool_export import ParquetMissingError, lines_of, open_table
from bessai.state import running_gateway

_BATCH: Final = 1_000


class SpoolStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What is in a spool."""

    path: str
    waiting_events: int
    waiting_samples: int
    stored_bytes: int
    oldest: str
    """Stamp of the oldest record that waits, or empty."""
    damaged: int
    dead: int
    lost: list[Loss]
    reserve: bool
    """Whether space is set aside for a full disk."""
    set_aside: list[str]


def show_status(state_dir: Path, *, as_json: bool) -> None:
    """Print what waits, what is dead, and what was lost."""
    with _spool(state_dir) as spool:
        status = _status(spool)
    if as_json:
        click.echo(msgspec.json.encode(status))
        return
    click.echo(f"{status.path}: {status.stored_bytes / (1 << 20):.1f} MB")
    click.echo(f"waiting: {status.waiting_events} event(s), {status.waiting_samples} sample(s)")
    if status.oldest:
        click.echo(f"oldest: {status.oldest}")
    click.echo(f"dead letters: {status.dead}   damaged: {status.damaged}")
    for loss in status.lost:
        click.echo(f"lost: {_described(loss)}")
    for name in status.set_aside:
        click.echo(f"set aside: {name}")


def verify(state_dir: Path) -> None:
    """Read everything and compare it with its checksums; exit 1 if something is damaged."""
    with _spool(state_dir) as spool:
        sound = sum(1 for _ in _with_progress(spool, "verifying"))
        damaged = spool.damaged
        unreadable = spool.dead.count() - sum(1 for _ in spool.dead.letters())
    click.echo(f"{sound} record(s) are sound, {damaged + unreadable} damaged")
    if damaged + unreadable:
        fail(FAILED, "damaged records are kept in the file and not sent")


def export(state_dir: Path, output: Path, *, form: str, dead: bool) -> None:
    """Write what waits, or the dead letters, to `output`; the spool keeps it."""
    with _spool(state_dir) as spool:
        try:
            table = open_table(output, form)
        except (OSError, ParquetMissingError) as error:
            fail(UNUSABLE, str(error))
        count = 0
        letters = (letter.record for _, letter in spool.dead.letters())
        for record in letters if dead else _with_progress(spool, "exporting"):
            table.write(lines_of(record))
            count += 1
        table.close()
    click.echo(f"{count} record(s) written to {output}")


def replay(state_dir: Path, sources: tuple[Path, ...], *, dead: bool) -> None:
    """Have dead letters, or what is sound in spools that were set aside, sent with the next start."""
    if not dead and not sources:
        fail(MISUSED, "say what to replay: --dead, or the files of spools that were set aside")
    with _spool(state_dir) as spool:
        if dead:
            click.echo(f"{_revive(spool)} dead letter(s) will be sent again")
        for source in sources:
            click.echo(f"{_carry_over(spool, source)} record(s) of {source} will be sent")


def _revive(spool: Spool) -> int:
    letters = list(spool.dead.letters())
    spool.commit(
        [letter.record for _, letter in letters], revived=[row_id for row_id, _ in letters]
    )
    return len(letters)


def _carry_over(spool: Spool, source: Path) -> int:
    count = 0
    held: list[Record] = []
    try:
        for record in salvage(source):
            held.append(record)
            if len(held) == _BATCH:
                spool.commit(held)
                count, held = count + len(held), []
    except (OSError, sqlite3.DatabaseError) as error:
        fail(UNUSABLE, f"nothing can be read of {source}: {error}")
    spool.commit(held)
    return count + len(held)


def _status(spool: Spool) -> SpoolStatus:
    waiting = dict.fromkeys(RecordLane, 0)
    oldest_ns = END
    for record in _records(spool):
        waiting[record.lane] += 1
        oldest_ns = min(oldest_ns, record.wall_ns)
    return SpoolStatus(
        path=str(spool.path),
        waiting_events=waiting[RecordLane.EVENT],
        waiting_samples=waiting[RecordLane.TELEMETRY],
        stored_bytes=spool.stored_bytes,
        oldest=rfc3339(oldest_ns) if oldest_ns < END else "",
        damaged=spool.damaged,
        dead=spool.dead.count(),
        lost=spool.losses.lines(),
        reserve=spool.path.with_name("spool.reserve").exists(),
        set_aside=sorted(str(path) for path in spool.path.parent.glob("spool.db.set-aside-*")),
    )


def _described(loss: Loss) -> str:
    what = f"{loss.records} {loss.kind or 'record'}(s)"
    if not loss.last_wall_ns:
        return f"{what}, {loss.cause}"
    return (
        f"{what} of {loss.device_id or 'the site'} (epoch {loss.epoch}, numbers {loss.first_seq} to "
        f"{loss.last_seq}) from {rfc3339(loss.first_wall_ns)} to {rfc3339(loss.last_wall_ns)}, {loss.cause}"
    )


def _records(spool: Spool) -> Iterator[Record]:
    for lane in RecordLane:
        after_id = 0
        while True:
            batch = spool.next_batch(lane, limit=_BATCH, after_id=after_id)
            yield from (item.record for item in batch.items)
            if batch.items:
                after_id = batch.items[-1].row_id
            elif not batch.damaged:
                break


def _with_progress(spool: Spool, label: str) -> Iterator[Record]:
    with click.progressbar(length=spool.waiting, label=label, file=sys.stderr) as bar:
        for count, record in enumerate(_records(spool), 1):
            yield record
            if count % _BATCH == 0:
                bar.update(_BATCH)


@contextlib.contextmanager
def _spool(state_dir: Path) -> Generator[Spool, None, None]:
    """Own the spool of `state_dir` for the length of a `with` block."""
    path = state_dir / "spool.db"
    if not path.is_file():
        fail(
            UNUSABLE,
            f"there is no spool {path}: name the gateway's state directory with --state-dir",
        )
    try:
        with lock_state_dir(state_dir):
            spool = Spool(path, quota_bytes=END)
            try:
                yield spool
            finally:
                spool.close()
    except GatewayRunningError as error:
        pid = running_gateway(state_dir)
        who = f" (process {pid})" if pid else ""
        fail(UNUSABLE, f"{error}{who}; /metrics tells how a running gateway's spool stands")
    except (StateDirError, SpoolError) as error:
        fail(UNUSABLE, str(error))
