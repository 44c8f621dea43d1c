"""The sink that needs nothing: JSON lines in files, one sequence of files per UTC day.

Records are acknowledged after fsync. A crash can leave half a line at the end of a file: it is moved to a `.partial`
file beside it before anything is appended, so each file always holds whole lines. It was not acknowledged, so the
spool sends it again; a record can therefore appear twice, with the same `dedupe_id`: at least once.

A finished file may be compressed; that is done in a thread of its own, because it takes seconds.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog

from actors.publisher.compress import compress
from actors.publisher.record import Record
from actors.publisher.sinks import Delivery, SinkError
from supervision.clock import NS_PER_S, Clock

_CHUNK_BYTES: Final = 1 << 16
_log = structlog.get_logger()


class FileSink:
    """Writes to `directory`, in files of about `max_bytes`, `keep_bytes` altogether."""

    name = "file"

    def __init__(
        self,
        directory: Path,
        clock: Clock,
        *,
        max_bytes: int,
        keep_bytes: int,
        compress: bool = False,
    ) -> None:
        self._directory = directory
        self._clock = clock
        self._max_bytes = max_bytes
        self._keep_bytes = keep_bytes
        self._compress = compress
        self._compressor: threading.Thread | None = None
        self._path: Path | None = None
        self._descriptor = -1

    def send(self, batch: Sequence[Record]) -> Delivery:
        """Append `batch` and make it durable; all of it is acknowledged.

        Raises:
            SinkError: the directory cannot be written.
        """
        try:
            self._ready_file()
            _write_all(self._descriptor, b"".join(record.body + b"\n" for record in batch))
            os.fsync(self._descriptor)
        except OSError as error:
            self.close()  # the next attempt looks for a half-written line before it appends
            raise SinkError(
                f"the file sink cannot write to {self._directory}: {error}; free space on its disk, "
                f"and let the gateway's user write there"
            ) from error
        return Delivery(range(len(batch)))

    def close(self) -> None:
        """Close the present file."""
        if self._descriptor >= 0:
            with suppress(OSError):  # what was acknowledged is on the disk already
                os.close(self._descriptor)
        self._path, self._descriptor = None, -1

    def _ready_file(self) -> None:
        """Have a file open to which the next batch belongs."""
        day = f"{datetime.fromtimestamp(self._clock.wall_ns() // NS_PER_S, UTC):%Y-%m-%d}"
        if self._path is None:
            self._directory.mkdir(parents=True, exist_ok=True)
            for path in self._plain_files():
                repair(path)
        elif self._path.name.startswith(day) and self._size() < self._max_bytes:
            return
        self._begin(self._path_for(day))

    def _begin(self, path: Path) -> None:
        self.close()
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
        self._path = path
        _sync(self._directory)
        self._remove_oldest()
        if self._compress:
            self._compress_finished()

    def _compress_finished(self) -> None:
        """Compress, in a thread of its own, every file that nothing is appended to any more."""
        if self._compressor is not None and self._compressor.is_alive():
            return  # what it does not see now is found when the next file begins
        finished = [path for path in self._plain_files() if path != self._path]
        self._compressor = threading.Thread(
            target=_compress_all, args=(finished,), name="file-compressor", daemon=True
        )
        self._compressor.start()

    def _size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def _plain_files(self) -> list[Path]:
        return sorted(self._directory.glob("*.jsonl"))

    def _files(self) -> list[Path]:
        """Return every published file, oldest first, compressed or not."""
        return sorted([*self._plain_files(), *self._directory.glob("*.jsonl.gz")])

    def _path_for(self, day: str) -> Path:
        """Return the newest file of `day` if there is room in it, or the name of the next."""
        newest = max((path for path in self._files() if path.name.startswith(day)), default=None)
        number = 1 if newest is None else int(newest.name.split(".")[1])
        if newest is not None and (
            newest.suffix == ".gz" or newest.stat().st_size >= self._max_bytes
        ):
            number += 1
        return self._directory / f"{day}.{number:06d}.jsonl"

    def _remove_oldest(self) -> None:
        files = [path for path in self._files() if path != self._path]
        excess_bytes = sum(map(_bytes_of, files)) + self._max_bytes - self._keep_bytes
        for path in files:
            if excess_bytes <= 0:
                return
            excess_bytes -= _bytes_of(path)
            path.unlink(missing_ok=True)
            _log.warning("published file removed", path=str(path), keep_bytes=self._keep_bytes)


def repair(path: Path) -> int:
    """Move what follows the last line break of `path` to a `.partial` file; return how many bytes that was.

    Raises:
        OSError: the file or its directory cannot be written.
    """
    with path.open("r+b") as file:
        end = file.seek(0, os.SEEK_END)
        keep = _whole_lines(path, end)
        if keep == end:
            return 0
        file.seek(keep)
        with path.with_suffix(".partial").open("ab") as partial:
            partial.write(file.read() + b"\n")
            partial.flush()
            os.fsync(partial.fileno())
        file.truncate(keep)
        os.fsync(file.fileno())
    _log.warning("partial line set aside", path=str(path), bytes=end - keep)
    return end - keep


def _whole_lines(path: Path, end: int) -> int:
    """Return the offset just after the last line break before `end`, or 0."""
    with path.open("rb") as file:
        while end > 0:
            start = max(0, end - _CHUNK_BYTES)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
    return 0


def _bytes_of(path: Path) -> int:
    """Return the size of `path`, or 0 if it was compressed just now."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _compress_all(paths: Sequence[Path]) -> None:
    for path in paths:
        try:
            compress(path)
        except OSError as error:
            _log.warning("published file not compressed", path=str(path), reason=str(error))


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
