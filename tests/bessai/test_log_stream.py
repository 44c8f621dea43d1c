"""Writing to the log keeps nobody waiting, whoever reads it or does not."""

from __future__ import annotations

import contextlib
import io
import os
import queue
import threading
from collections.abc import Iterator
from typing import TextIO, cast

import click
import pytest

from bessai.log_stream import LogStream, Unflushed

PATIENCE_S = 10.0


class Held(io.StringIO):
    """A stream whose reader takes nothing until it is let go."""

    encoding = "utf-8"

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self.entered = threading.Event()

    def write(self, text: str) -> int:
        self.entered.set()
        assert self.go.wait(PATIENCE_S)
        return super().write(text)


@pytest.fixture
def held() -> Iterator[Held]:
    stream = Held()
    yield stream
    stream.go.set()


def test_what_is_written_while_nobody_reads_arrives_in_order_when_somebody_does(held: Held) -> None:
    log = LogStream(held)
    for number in range(500):
        log.write(f"{number}\n")
    held.go.set()
    log.flush()
    assert held.getvalue().split() == [str(number) for number in range(500)]


def test_when_too_much_is_kept_the_newest_is_dropped_and_counted(held: Held) -> None:
    told: queue.Queue[int] = queue.Queue()
    log = LogStream(held, told.put, keep_chars=100)
    log.write("first\n")
    assert held.entered.wait(PATIENCE_S)  # it counts until it has been taken
    for number in range(30):
        log.write(f"line {number:04}\n")
    held.go.set()
    assert told.get(timeout=PATIENCE_S) == 21
    log.flush()
    assert held.getvalue().splitlines() == ["first", *(f"line {n:04}" for n in range(9))]
    log.write("again\n")
    log.flush()
    assert held.getvalue().endswith("again\n")


def test_a_pipe_that_nobody_reads_keeps_no_writer_waiting() -> None:
    reader, writer = os.pipe()
    with (
        contextlib.suppress(BrokenPipeError),  # it cannot be closed in order either
        os.fdopen(writer, "w", encoding="utf-8") as stream,
    ):
        log = LogStream(stream)
        for _ in range(40):
            log.write("x" * 65_536)  # a pipe takes one of these
        assert os.read(reader, 10) == b"x" * 10
        os.close(reader)  # the rest meets a broken pipe, which is nobody's fault here
        log.flush()
        log.write("nobody reads this\n")
        log.flush()


def test_loggers_do_not_wait_for_their_lines(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    log = LogStream(held)
    with monkeypatch.context() as patched:
        patched.setattr(log, "flush", lambda: pytest.fail("a logger waited"))
        lines = Unflushed(log)
        lines.write("line\n")
        lines.flush()
    held.go.set()
    log.flush()
    assert held.getvalue() == "line\n"


def test_it_takes_text_only_and_messages_of_the_command_line() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    log = LogStream(stream)
    with pytest.raises(TypeError, match="takes text, not bytes"):
        log.write(b"bytes")
    click.echo("Grüße", file=cast("TextIO", log))
    log.flush()
    assert stream.buffer.getvalue() == "Grüße\n".encode()
