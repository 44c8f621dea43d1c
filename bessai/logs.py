"""What the processes say on standard error: one event a line, as JSON, or readable on a terminal.

structlog would import a library for coloured tracebacks if it found one; no process here needs its memory.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
from typing import TextIO, cast

sys.modules.setdefault("rich", None)  # type: ignore[arg-type]  # a None stops the import

import structlog  # noqa: E402 - after the line above, on purpose

from bessai.log_stream import LogStream, Unflushed  # noqa: E402 - as above

LEVELS = ("debug", "info", "warning", "error")
LEVEL_VARIABLE = "BESSAI_LOG_LEVEL"


def configure(process: str, level: str = "info") -> None:
    """Send all log lines and warnings of this process, also of libraries, to standard error, marked with its name.

    Nobody waits for a line to be taken: see `LogStream`.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _named(process),
    ]
    renderer = _renderer()
    lines = Unflushed(_stream())
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=cast("TextIO", lines)),
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            renderer,
        ],
    )
    handler = logging.StreamHandler(lines)
    handler.setFormatter(formatter)
    logging.basicConfig(level=max(number, logging.WARNING), handlers=[handler], force=True)
    logging.captureWarnings(capture=True)


def _stream() -> LogStream:
    """Return what has taken the place of standard error in this process."""
    if not isinstance(sys.stderr, LogStream):
        sys.stderr = LogStream(sys.stderr, _tell_dropped)
        atexit.register(sys.stderr.flush)
    return sys.stderr


def _tell_dropped(count: int) -> None:
    structlog.get_logger().warning(
        "log lines dropped", count=count, reason="whoever reads standard error did not keep up"
    )


def configure_cell(cell: str) -> None:
    """Configure the process of a cell; the level comes from its environment."""
    configure(cell, os.environ.get(LEVEL_VARIABLE, "info"))


def _named(process: str) -> structlog.typing.Processor:
    def add_name(
        _logger: structlog.typing.WrappedLogger, _method: str, event: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        event["process"] = process
        return event

    return add_name


def _renderer() -> structlog.typing.Processor:
    if sys.stderr.isatty():
        return structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    return structlog.processors.JSONRenderer()
