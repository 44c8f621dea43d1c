"""Each layer of the dead-man is stopped while a battery is charged by force; the simulator's record is the judge.

One gateway serves all tests here, in this order: the last ones kill it whole and start it again.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from bessai.cli import main
from bessai.config import load_config
from bessai.deadlines import deadlines
from bessai.simulator.record import WriteRecord
from bessai.testing import FORCED_MODE, Gateway, SimulatedSite, credulous_profile, wait_for
from tests.chaos.conftest import Arena

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]

LOAD_S = 2.0
"""What a loaded machine of two cores may add to any deadline."""
COUNTDOWN_S = 3.0
"""The two minutes of the device's countdown, at `countdown_s_per_min` = 1.5."""
STEADY_S = 1.0
"""A charge that a stop under way ends does not last so long."""
CAP = 47077
"""Maximum discharging power: what a hold sets to 0."""
CHARGE_POWER = 47247
HOURS = list(range(24))
SITE = f"""abandon_s = 0.2
[safety]
lease_s = 0.4
ramp_down_s = 3.0
[dispatcher]
decide_s = 0.4
ttl_s = 1.0
time_of_use = {{ charge_hours_utc = {HOURS} }}
[cells]
hung_after_s = 1.0
"""


@pytest.fixture(scope="module")
def charged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    """A gateway that charges its only battery by force, and renews that well within the countdown."""
    directory = tmp_path_factory.mktemp("deadman")
    profile = directory / "profile.toml"
    text = credulous_profile().replace("renew_s = 45.0", "renew_s = 0.5")
    profile.write_text(text, encoding="utf-8")
    settings = {"countdown_s_per_min": COUNTDOWN_S / 2}
    with (
        SimulatedSite(directory, devices=1, settings=settings) as site,
        Gateway(site, directory, extra=SITE, profile=str(profile)) as gateway,
    ):
        yield Arena(site, gateway)


@pytest.fixture
def forced(charged: Arena) -> Arena:
    """The arena with the battery under way."""
    wait_until_forced(charged)
    return charged


def wait_until_forced(arena: Arena) -> None:
    """Wait for a forced charge that lasts: one that a stop under way is about to end is none."""
    began_s = time.monotonic()

    def charging() -> bool:
        nonlocal began_s
        truth = arena.site.client.truth("d1")
        if truth.forced_mode != 1 or truth.battery_power_w <= 500:
            began_s = time.monotonic()
        return time.monotonic() - began_s > STEADY_S

    wait_for("a forced charge", charging, timeout_s=40.0)


def limit_s(arena: Arena, layer: int) -> float:
    return deadlines(load_config(arena.gateway.config, {}), "d1")[layer].seconds + LOAD_S


def writes(arena: Arena, since: int) -> list[WriteRecord]:
    return arena.site.client.writes("d1", since)


def commands(arena: Arena, since: int) -> list[WriteRecord]:
    return [w for w in writes(arena, since) if w.address == FORCED_MODE]


def seen(arena: Arena) -> int:
    writes = arena.site.client.writes("d1")
    return writes[-1].index + 1 if writes else 0


def answer_s(arena: Arena, silence: Callable[[], object], *, layer: int) -> float:
    """Silence a layer and return the seconds from then to the stop at the device."""
    since, began_ns = seen(arena), time.monotonic_ns()
    silence()

    def stopped() -> WriteRecord | None:
        return next((w for w in commands(arena, since) if w.words == [0]), None)

    stop = wait_for("a stop at the device", stopped, timeout_s=limit_s(arena, layer))
    return (stop.mono_ns - began_ns) / 1e9


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL], ids=lambda n: n.name)
def test_a_silent_dispatchers_request_expires_and_its_power_is_led_to_0(
    forced: Arena, number: signal.Signals
) -> None:
    gateway, stopped = forced.gateway, list[int]()

    def silence() -> None:
        pid = gateway.signal_cell("dispatcher", number)
        # Its successor might ask before the descent is over; root finds late who is stopped at its start.
        stopped.append(wait_for("a successor", lambda: successor(gateway.process.pid, pid)))
        signal_all(stopped, signal.SIGSTOP)

    since = seen(forced)
    try:
        assert answer_s(forced, silence, layer=0) < limit_s(forced, 0)
    finally:
        signal_all(stopped, signal.SIGKILL)
    powers_w = [w.words[1] for w in writes(forced, since) if w.address == CHARGE_POWER]
    steps_w = [power_w for power_w, _ in itertools.groupby(powers_w)]
    full_w = load_config(gateway.config, {}).safety.devices["d1"].full_w
    assert len(steps_w) >= 3  # as it was, and two steps down
    assert all(0 < a - b <= full_w / 3.0 + 1 for a, b in itertools.pairwise(steps_w))


def successor(root: int, pid: int) -> int | None:
    """Return the process of the dispatcher's cell that comes after `pid`, as soon as it is there."""
    children = Path(f"/proc/{root}/task/{root}/children").read_text("ascii").split()
    for child in map(int, children):
        with contextlib.suppress(FileNotFoundError):
            if child != pid and "dispatcher" in Path(f"/proc/{child}/cmdline").read_text("utf-8"):
                return child
    return None


def test_when_safety_hangs_the_lease_ends_at_the_device_before_anybody_finds_the_hang(
    forced: Arena,
) -> None:
    def told() -> int:
        return forced.gateway.log.read_text("utf-8").count("lease ended unrenewed")

    before = told()
    answered_s = answer_s(forced, lambda: forced.gateway.order("safety", "hang 3"), layer=1)
    assert answered_s < limit_s(forced, 1)
    wait_for("the word of the device's own actor", lambda: told() > before)


def test_when_safety_dies_its_next_incarnation_commands_safety(forced: Arena) -> None:
    answered_s = answer_s(forced, lambda: forced.gateway.order("safety", "exit"), layer=1)
    assert answered_s < limit_s(forced, 1)


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL], ids=lambda n: n.name)
def test_a_silent_control_cell_is_replaced_by_one_that_starts_safe(
    forced: Arena, number: signal.Signals
) -> None:
    pid = forced.gateway.pid_of("control")
    answered_s = answer_s(forced, lambda: os.kill(pid, number), layer=3)
    assert answered_s < limit_s(forced, 3)
    assert forced.gateway.pid_of("control") != pid


def test_when_everything_stands_still_the_devices_countdown_ends_forced_power(
    forced: Arena,
) -> None:
    pids = forced.gateway.pids()
    try:
        assert_countdown_alone(forced, lambda: signal_all(pids, signal.SIGSTOP))
    finally:
        signal_all(pids[::-1], signal.SIGCONT)
    wait_until_forced(forced)


def test_when_everything_is_killed_the_devices_countdown_ends_forced_power(
    forced: Arena,
) -> None:
    pids = forced.gateway.pids()

    def kill() -> None:
        signal_all(pids, signal.SIGSTOP)  # or control would see root die, and act
        signal_all(pids, signal.SIGKILL)

    assert_countdown_alone(forced, kill)
    forced.gateway.process.wait()


def test_when_root_is_killed_control_leaves_the_fail_safe_mode_and_ends(charged: Arena) -> None:
    """With `hold`: forced power ends, discharging is capped, and the original comes back by command."""
    gateway, client = charged.gateway, charged.site.client
    text = gateway.config.read_text("utf-8")
    gateway.config.write_text(text.replace("abandon_s", 'failsafe = "hold"\nabandon_s'), "utf-8")
    if gateway.process.poll() is not None:
        gateway.start()
    wait_until_forced(charged)
    control, since = gateway.pid_of("control"), seen(charged)
    assert answer_s(charged, gateway.process.kill, layer=4) < limit_s(charged, 4)
    wait_for("the end of control", lambda: not Path(f"/proc/{control}").exists())
    assert client.truth("d1").forced_mode == 0
    assert caps(charged, since) == [[0, 0]]
    restore = ["originals", "restore", f"--config={gateway.config}", "d1"]
    assert "restored and read back" in CliRunner().invoke(main, restore).output
    assert caps(charged, since) == [[0, 0], [0, 5000]]


def caps(arena: Arena, since: int) -> list[list[int]]:
    return [w.words for w in arena.site.client.writes("d1", since) if w.address == CAP]


def assert_countdown_alone(arena: Arena, silence: Callable[[], object]) -> None:
    """Silence everything, and see that forced power ends in time without a word from the gateway."""
    silence()
    since, began_s = seen(arena), time.monotonic()
    wait_for(
        "the end of forced power",
        lambda: arena.site.client.truth("d1").forced_mode == 0,
        timeout_s=COUNTDOWN_S + LOAD_S,
    )
    assert (
        time.monotonic() - began_s > COUNTDOWN_S / 4
    )  # it was the countdown, not a stop under way
    assert commands(arena, since) == []


def signal_all(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        os.kill(pid, number)
