from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from actors.publisher.database import (
    SpoolCorruptError,
    SpoolUnavailableError,
    open_database,
    set_aside,
)

NOON_NS = 1_700_000_000_000_000_000


def _damage_header(path: Path) -> None:
    path.write_bytes(b"this is not SQLite at all" * 100)


def _damage_a_page(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.executemany(
        "INSERT INTO spool (lane, packing, records, wall_ns, crc32, body) VALUES (1, 0, 1, 1, 1, ?)",
        [(b"x" * 500,)] * 200,
    )
    connection.commit()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    data = bytearray(path.read_bytes())
    data[4096 * 3 : 4096 * 3 + 64] = bytes(range(64))
    path.write_bytes(data)


def _change_version(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()


def _change_columns(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("ALTER TABLE spool ADD COLUMN more TEXT")
    connection.close()


@pytest.mark.parametrize(
    "damage", [_damage_header, _damage_a_page, _change_version, _change_columns]
)
def test_a_file_that_cannot_be_trusted_is_refused(tmp_path: Path, damage: object) -> None:
    path = tmp_path / "spool.db"
    open_database(path).close()
    assert callable(damage)
    damage(path)

    with pytest.raises(SpoolCorruptError, match=r"spool\.db"):
        open_database(path)


def test_a_directory_that_cannot_be_made_is_named_with_the_fix(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(
        SpoolUnavailableError, match=r"file/spool\.db cannot be used.*user write in"
    ):
        open_database(tmp_path / "file" / "spool.db")


def test_missing_directories_are_made(tmp_path: Path) -> None:
    open_database(tmp_path / "a" / "b" / "spool.db").close()

    assert (tmp_path / "a" / "b" / "spool.db").exists()


def test_everything_that_belongs_to_a_file_is_set_aside_with_it(tmp_path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        (tmp_path / f"spool.db{suffix}").write_text(suffix)

    moved = set_aside(tmp_path / "spool.db", NOON_NS)

    assert moved.name == "spool.db.set-aside-20231114T221320Z"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        moved.name,
        f"{moved.name}-shm",
        f"{moved.name}-wal",
    ]


def test_a_second_file_of_the_same_second_does_not_replace_the_first(tmp_path: Path) -> None:
    kept = []
    for content in ("one", "two"):
        (tmp_path / "spool.db").write_text(content)
        kept.append(set_aside(tmp_path / "spool.db", NOON_NS))

    assert [path.read_text() for path in kept] == ["one", "two"]
