"""The spool's SQLite file: opened so that what is committed survives a power cut, checked, and set aside if damaged.

WAL with synchronous=FULL lost nothing in simulated power cuts where synchronous=NORMAL lost rows. Exactly one
connection is open at a time: SQLite before 3.51.3 can damage a WAL that several connections reset.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from actors.publisher.schema import SCHEMA_VERSION, TABLES, create, migrate_from_1
from supervision.clock import NS_PER_S

_SETTINGS: Final = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA busy_timeout = 500",
    "PRAGMA wal_autocheckpoint = 1000",
    "PRAGMA journal_size_limit = 4194304",
    "PRAGMA cache_size = -2000",
)


class SpoolError(Exception):
    """The spool cannot do what was asked of it."""


class SpoolUnavailableError(SpoolError):
    """The file cannot be opened, read or written now; trying again may help."""


class SpoolFullError(SpoolUnavailableError):
    """There is no space; the file is sound and stays open."""


class SpoolCorruptError(SpoolError):
    """The file's contents cannot be trusted; trying again does not help."""


@contextmanager
def explained(path: Path) -> Generator[None, None, None]:
    """Turn what SQLite or the file system raises on `path` into a SpoolError that names the fix."""
    try:
        yield
    except (OSError, sqlite3.OperationalError) as error:
        full = getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL
        raise (SpoolFullError if full else SpoolUnavailableError)(
            f"the spool {path} cannot be used: {error}; free space on its disk, and let the "
            f"gateway's user write in {path.parent}"
        ) from error
    except sqlite3.DatabaseError as error:
        raise SpoolCorruptError(f"the spool {path} is damaged: {error}") from error


@contextmanager
def transaction(connection: sqlite3.Connection, path: Path) -> Generator[None, None, None]:
    """Do all of a block or nothing; what it did is durable afterwards."""
    with explained(path):
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # SQLite has already rolled back where the disk is full
                connection.execute("ROLLBACK")
            raise


def open_database(path: Path) -> sqlite3.Connection:
    """Open or create the spool at `path`, check it, and bring an older one to today's form.

    The connection belongs to the calling thread.

    Raises:
        SpoolUnavailableError: the file or its directory cannot be used.
        SpoolCorruptError: it is no SQLite file, fails its check or is of an unknown version.
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, isolation_level=None)
        try:
            _prepare(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.text_factory = bytes  # a flipped bit may leave text that is not UTF-8
    for setting in _SETTINGS:
        connection.execute(setting)
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if not tables:
        with transaction(connection, path):
            create(connection)
    else:
        _check_pages(connection, path)
        if version == 1:
            with transaction(connection, path):
                migrate_from_1(connection)
    _check_form(connection, path)


def _check_pages(connection: sqlite3.Connection, path: Path) -> None:
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != b"ok":
        reason = verdict.decode(errors="replace").splitlines()[-1]
        raise SpoolCorruptError(f"the spool {path} is damaged: {reason}")


def _check_form(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version != SCHEMA_VERSION:
        raise SpoolCorruptError(
            f"the spool {path} has version {version}, this gateway writes version {SCHEMA_VERSION}"
        )
    for table, expected in TABLES.items():
        columns = [row[1].decode() for row in connection.execute(f"PRAGMA table_info({table})")]
        if columns != expected:
            raise SpoolCorruptError(
                f"the spool {path} has columns {columns} in {table}, expected {expected}"
            )


def set_aside(path: Path, wall_ns: int) -> Path:
    """Rename `path` and what belongs to it to names with the time in them; return the new name of `path`.

    Raises:
        SpoolUnavailableError: the directory cannot be written.
    """
    stamp = f"{datetime.fromtimestamp(wall_ns // NS_PER_S, UTC):%Y%m%dT%H%M%SZ}"
    target = path.with_name(f"{path.name}.set-aside-{stamp}")
    count = 1
    while target.exists():
        count += 1
        target = path.with_name(f"{path.name}.set-aside-{stamp}-{count}")
    with explained(path):
        for suffix in ("-wal", "-shm", ""):  # the file itself last: till then a retry finds it
            part = path.with_name(path.name + suffix)
            if part.exists():
                part.rename(target.with_name(target.name + suffix))
        sync_directory(path.parent)
    return target


def sync_directory(directory: Path) -> None:
    """Make the names in `directory` durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
