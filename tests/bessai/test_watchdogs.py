from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from bessai.cli import main
from bessai.config import data_directory
from bessai.watchdogs import WatchdogDevice, WatchdogDeviceError, Watchdogs
from supervision.events import Pulse
from supervision.notify import Notifier
from supervision.spec import ChildSpec
from tests.bessai.outside import ServiceManager, WatchdogPipe


def _pulse(status: str = "well", *, progressing: bool = True) -> Pulse:
    return Pulse(mono_ns=1, progressing=progressing, status=status)


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[WatchdogPipe]:
    """A device whose kicks can be read."""
    pipe = WatchdogPipe(tmp_path)
    yield pipe
    pipe.close()


def test_progress_kicks_both_watchdogs_and_its_absence_neither(
    tmp_path: Path, pipe: WatchdogPipe
) -> None:
    with ServiceManager(tmp_path) as manager:
        watchdogs = Watchdogs(
            Notifier(manager.address, watchdog=True), WatchdogDevice(str(pipe.path))
        )
        watchdogs.take(_pulse("waiting for safety", progressing=False))
        assert pipe.read() == b""
        watchdogs.take(_pulse())
        watchdogs.take(_pulse())
        watchdogs.take(_pulse("waiting for safety", progressing=False))
        assert manager.listen(lambda words: words.count("STATUS=waiting for safety") == 2)
        watchdogs.close()
    assert pipe.read() == b"\0\0V"
    assert manager.words == [
        "STATUS=waiting for safety",
        "WATCHDOG=1",
        "READY=1",
        "STATUS=well",
        "WATCHDOG=1",
        "STATUS=waiting for safety",
    ]


def test_an_ordered_stop_disarms_the_machine_s_watchdog(pipe: WatchdogPipe) -> None:
    watchdogs = Watchdogs(Notifier(), WatchdogDevice(str(pipe.path)))

    watchdogs.stopping()
    watchdogs.close()

    assert pipe.read() == b"\0V"


def test_a_device_that_is_not_there_is_refused_with_the_fix(tmp_path: Path) -> None:
    with pytest.raises(WatchdogDeviceError, match="load the machine's watchdog driver"):
        WatchdogDevice(str(tmp_path / "none"))


def test_kicks_that_fail_are_told_once(tmp_path: Path) -> None:
    pipe = WatchdogPipe(tmp_path)
    device = WatchdogDevice(str(pipe.path))
    pipe.close()
    with structlog.testing.capture_logs() as lines:
        device.kick()
        device.kick()
        device.close()
    assert [line["event"] for line in lines] == ["watchdog not kicked"]


def test_the_example_unit_gives_a_resting_device_and_a_stop_the_time_they_take() -> None:
    text = (data_directory() / "bessai.service").read_text(encoding="utf-8")
    unit = dict(line.split("=", 1) for line in text.splitlines() if re.match(r"\w+=", line))

    assert (unit["Type"], unit["NotifyAccess"]) == ("notify", "main")
    assert float(unit["WatchdogSec"]) > ChildSpec(name="x", factory="m:f").quarantine_s
    command = unit["ExecStart"].split()[1:]
    assert command[0] in main.commands
