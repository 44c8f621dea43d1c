"""The thread that all links share is watched too."""

from __future__ import annotations

import threading
import time

import pytest

from actors.inverter import io_loop
from actors.inverter.io_loop import IoLoop, shared_loop


def eventually(loop: IoLoop, *, stalled: bool) -> bool:
    deadline_s = time.monotonic() + 5.0
    while loop.stalled() is not stalled:
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.01)
    return True


def test_all_links_share_one_thread() -> None:
    assert shared_loop() is shared_loop()


def test_a_thread_that_is_held_up_counts_as_stalled_until_it_turns_again() -> None:
    loop = IoLoop(stalled_after_s=0.7, suspect_for_s=0.0)
    assert not loop.stalled()
    release = threading.Event()
    loop.call(release.wait)
    assert eventually(loop, stalled=True)
    release.set()
    assert eventually(loop, stalled=False)


def test_a_thread_that_ended_is_stalled_and_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = IoLoop()
    monkeypatch.setattr(io_loop, "_shared", loop)
    loop.call(loop._loop.stop)
    assert eventually(loop, stalled=True)
    assert shared_loop() is not loop


def test_an_error_in_a_callback_is_logged_and_the_thread_goes_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    loop = IoLoop()
    turned = threading.Event()
    loop.call(lambda: 1 / 0)
    loop.call(turned.set)
    assert turned.wait(5.0)
    assert "ZeroDivisionError" in capsys.readouterr().out
