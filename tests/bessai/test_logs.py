"""Every process says what happens as one JSON object a line, whoever says it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

PREAMBLE = "import logging, warnings, structlog\nfrom bessai import logs\n"


def said(code: str, **environment: str) -> list[dict[str, Any]]:
    """Return what a process that runs `code` logs."""
    done = subprocess.run(
        [sys.executable, "-c", PREAMBLE + code],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
        env={**os.environ, **environment},
    )
    assert done.stdout == ""
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_a_line_names_process_level_time_and_event() -> None:
    (line,) = said("logs.configure('root')\nstructlog.get_logger().info('started', cell='api')")
    assert (line["process"], line["level"], line["event"], line["cell"]) == (
        *("root", "info", "started"),
        "api",
    )
    assert line["timestamp"].endswith("Z")


def test_dropped_lines_are_counted_in_a_line_when_they_are_taken_again() -> None:
    code = (
        "import sys\n"
        "logs.configure('api')\n"
        "sys.stderr._keep_chars = 400\n"
        "log = structlog.get_logger()\n"
        "log.info('kept')\n"
        "log.info('x' * 400)\n"
        "sys.stderr.flush()\n"
        "log.info('after')"
    )
    lines = said(code)
    assert sorted(line["event"] for line in lines) == ["after", "kept", "log lines dropped"]
    (dropped,) = [line for line in lines if "count" in line]
    assert (dropped["count"], dropped["level"]) == (1, "warning")


def test_libraries_and_warnings_go_the_same_way() -> None:
    code = (
        "logs.configure('api')\n"
        "logging.getLogger('uvicorn').error('port %d', 8000)\n"
        "warnings.warn('careful')"
    )
    library, warning = said(code)
    assert (library["event"], library["level"], library["process"]) == ("port 8000", "error", "api")
    assert "careful" in warning["event"]


@pytest.mark.parametrize(
    "logger", ["structlog.get_logger()", "logging.getLogger('library')"], ids=["ours", "library"]
)
def test_an_exception_brings_its_traceback_in_the_same_line(logger: str) -> None:
    code = (
        "logs.configure('api')\n"
        "try:\n    1 / 0\nexcept ZeroDivisionError:\n"
        f"    {logger}.exception('failed', exc_info=True)"
    )
    (line,) = said(code)
    assert "ZeroDivisionError: division by zero" in line["exception"]


def test_what_is_no_json_is_shown_rather_than_lost() -> None:
    (line,) = said("logs.configure('x')\nstructlog.get_logger().info('odd', what={1, 2}, b=b'x')")
    assert line["what"] == "{1, 2}"


def test_lines_below_the_level_are_not_written_and_libraries_stay_quiet() -> None:
    code = (
        "logs.configure('x', 'warning')\n"
        "structlog.get_logger().info('quiet')\n"
        "logging.getLogger('library').info('quiet')\n"
        "structlog.get_logger().warning('loud')"
    )
    assert [line["event"] for line in said(code)] == ["loud"]


def test_a_cell_takes_its_level_from_the_environment() -> None:
    code = "logs.configure_cell('detector')\nstructlog.get_logger().debug('detail')"
    assert [line["process"] for line in said(code, BESSAI_LOG_LEVEL="debug")] == ["detector"]
    assert said(code) == []
