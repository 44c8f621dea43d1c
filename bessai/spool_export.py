"""Records of a spool as a table: one line for each value of a sample, one for each other record.

CSV needs nothing; Parquet needs pyarrow, which comes with `pip install bessai-edge-gateway[parquet]`.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from actors.publisher.encode import rfc3339
from actors.publisher.record import Record

_GROUP: Final = 20_000
"""Lines that a Parquet file's row group holds, and so what is kept in memory."""


class Line(NamedTuple):
    """One line of an export."""

    wall: str
    wall_ns: int
    kind: str
    device_id: str
    epoch: int
    seq: int
    dedupe_id: str
    point: str
    """Empty for what is no sample."""
    value: float | None
    quality: str
    """Empty for a good value."""
    body: str
    """The whole record as JSON, for what is no sample."""


class Table(Protocol):
    """Where lines go."""

    def write(self, lines: Iterable[Line]) -> None:
        """Append `lines`."""
        ...

    def close(self) -> None:
        """Complete the file."""
        ...


class ParquetMissingError(Exception):
    """pyarrow is not installed."""


def lines_of(record: Record) -> Iterator[Line]:
    """Yield the lines of one record."""
    head = (
        rfc3339(record.wall_ns),
        record.wall_ns,
        record.kind,
        record.device_id,
        record.epoch,
        record.seq,
        record.dedupe_id,
    )
    try:
        told = msgspec.json.decode(record.body)
        values = told["values"]
        quality = told.get("quality", {})
        names = dict.fromkeys(
            (*values, *quality)
        )  # a point without a number may be in quality only
        lines = [Line(*head, *_value(name, values.get(name), quality), "") for name in names]
    except (msgspec.MsgspecError, LookupError, TypeError, AttributeError, ValueError):
        lines = [Line(*head, "", None, "", record.body.decode(errors="replace"))]
    yield from lines


def open_table(path: Path, form: str) -> Table:
    """Return a new table in the file `path`; `form` is `csv` or `parquet`.

    Raises:
        OSError: the file cannot be written.
        ParquetMissingError: Parquet is asked for and pyarrow is not there.
    """
    return _ParquetTable(path) if form == "parquet" else _CsvTable(path)


def _value(name: str, value: Any, quality: dict[str, str]) -> tuple[str, float | None, str]:  # noqa: ANN401 - JSON
    return name, None if value is None else float(value), str(quality.get(name, ""))


class _CsvTable:
    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file)
        self._writer.writerow(Line._fields)

    def write(self, lines: Iterable[Line]) -> None:
        self._writer.writerows(lines)

    def close(self) -> None:
        self._file.close()


class _ParquetTable:
    def __init__(self, path: Path) -> None:
        try:
            import pyarrow as pa  # noqa: PLC0415 - large, and optional
            import pyarrow.parquet as pq  # noqa: PLC0415 - as above
        except ImportError as error:
            raise ParquetMissingError(
                "Parquet needs pyarrow: pip install 'bessai-edge-gateway[parquet]', or use --format csv"
            ) from error
        self._pa = pa
        types = {"wall_ns": pa.int64(), "epoch": pa.int64(), "seq": pa.int64()}
        types["value"] = pa.float64()
        self._schema = pa.schema([(name, types.get(name, pa.string())) for name in Line._fields])
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._lines: list[Line] = []

    def write(self, lines: Iterable[Line]) -> None:
        self._lines += lines
        if len(self._lines) >= _GROUP:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        columns = zip(*self._lines, strict=True) if self._lines else ([] for _ in Line._fields)
        arrays = [
            self._pa.array(column, type=field.type)
            for column, field in zip(columns, self._schema, strict=True)
        ]
        self._writer.write_table(self._pa.Table.from_arrays(arrays, schema=self._schema))
        self._lines = []
