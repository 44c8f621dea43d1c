"""One gateway, operated as people and machines do: by command line, watchdog, signal."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from click.testing import CliRunner, Result

from bessai.cli import main
from bessai.exit_codes import REFUSED
from bessai.testing import Gateway, SimulatedSite, wait_for
from tests.bessai.outside import ServiceManager, WatchdogPipe

pytestmark = pytest.mark.timeout(120)
SETTLE_S = 1.0
"""What a new incarnation of a critical actor waits before it counts for watchdogs."""
DISPATCH = "[dispatcher]\ndecide_s = 0.5\nttl_s = 5.0\n"


class Operated(NamedTuple):
    """A gateway on a small site, and who watches it from outside; all happens to device d1."""

    site: SimulatedSite
    gateway: Gateway
    manager: ServiceManager
    pipe: WatchdogPipe

    def bessai(self, *words: str) -> Result:
        """Run a command on the gateway's state directory."""
        environment = {"BESSAI_STATE_DIR": str(self.gateway.state_dir)}
        return CliRunner().invoke(main, words, env=environment)

    def audited(self) -> list[dict[str, str]]:
        """Return the audit log as the command shows it."""
        shown = self.bessai("audit", "show", "--json", "--last=100")
        return [json.loads(line) for line in shown.stdout.splitlines()]


@pytest.fixture(scope="module")
def operated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operated]:
    """Return a gateway in health."""
    directory = tmp_path_factory.mktemp("operated")
    pipe = WatchdogPipe(directory)
    watchdog = f'[watchdog]\ndevice = "{pipe.path}"\n'
    with (
        ServiceManager(directory) as manager,
        SimulatedSite(directory, devices=6) as site,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in manager.environment.items():
            patch.setenv(name, value)
        with Gateway(site, directory, extra=watchdog + DISPATCH) as gateway:
            patch.undo()
            gateway.wait_until("a device in order", _in_order, timeout_s=40.0)
            yield Operated(site, gateway, manager, pipe)
    pipe.close()


def _in_order(health: dict[str, dict[str, dict[str, dict[str, str]]]]) -> bool:
    return health["devices"]["d1"]["safety"]["state"] == "normal"


def test_an_operator_s_set_point_is_followed_clamped_and_holds_until_released(
    operated: Operated,
) -> None:
    shown = operated.bessai("setpoint", "d1", "1500", "--ttl=60", "--reason=test")
    assert (shown.exit_code, shown.stderr) == (0, "")
    assert shown.stdout == "d1: 1500 W allowed for 60 s\n"
    truth = operated.site.client.truth
    wait_for("charging", lambda: truth("d1").battery_power_w > 1000)

    clamped = operated.bessai("setpoint", "d1", "-99999", "--ttl=60", "--reason=more")
    assert "W clamped for 60 s (power_limit: -99999 W asked" in clamped.stdout

    assert operated.bessai("release", "d1", "--reason=done").stdout == "d1: released\n"
    wait_for("the end of it", lambda: truth("d1").forced_mode == 0)
    again = operated.bessai("release", "d1", "--reason=done")
    assert (again.exit_code, "by rule holder" in again.stderr) == (REFUSED, True)


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (("setpoint", "d9", "0", "--ttl=5", "--reason=x"), "device"),
        (("setpoint", "d1", "0", "--ttl=99999", "--reason=x"), "ttl"),
        (("latch", "reset", "d1", "--reason=x"), "not_latched"),
    ],
)
def test_what_is_refused_is_told_with_its_rule(
    operated: Operated, words: tuple[str, ...], rule: str
) -> None:
    shown = operated.bessai(*words)

    assert shown.exit_code == REFUSED
    assert f"by rule {rule}: " in shown.stderr


def test_a_trip_is_reset_online_once_its_cause_is_gone(operated: Operated) -> None:
    operated.site.client.set_state("d1", temperature_c=58.0)
    operated.gateway.wait_until("the trip", lambda h: _state(h) == "tripped")
    early = operated.bessai("latch", "reset", "d1", "--reason=too early")
    assert (early.exit_code, "by rule cause: trip_hot: " in early.stderr) == (REFUSED, True)
    assert "d1: tripped " in operated.bessai("latch", "list").stdout

    operated.site.client.set_state("d1", temperature_c=25.0)
    shown = wait_for("the reset", lambda: _reset(operated))
    assert "d1: reset by " in shown
    operated.gateway.wait_until("normal again", lambda h: _state(h) == "normal")
    assert operated.bessai("latch", "list").stdout == "nothing is latched\n"


def _state(health: dict[str, dict[str, dict[str, dict[str, str]]]]) -> str:
    return health["devices"]["d1"]["safety"]["state"]


def _reset(operated: Operated) -> str | None:
    shown = operated.bessai("latch", "reset", "d1", "--reason=cooled down")
    return shown.stdout if shown.exit_code == 0 else None


def test_all_of_it_is_in_the_audit_log_which_verifies(operated: Operated) -> None:
    kinds = [entry["kind"] for entry in operated.audited()]
    for kind in ("setpoint", "release", "setpoint_refused", "trip", "reset_refused", "reset"):
        assert kind in kinds
    verified = operated.bessai("audit", "verify")
    assert (verified.exit_code, verified.stdout[:11]) == (0, "ok      ent")


@pytest.mark.parametrize("actor", ["safety", "inverter/d1", "watchdog"])
def test_no_watchdog_is_kicked_while_a_critical_actor_hangs_or_has_just_been_replaced(
    operated: Operated, actor: str
) -> None:
    manager = operated.manager
    before = len(manager.kicks_s)
    assert manager.listen(lambda words: words.count("WATCHDOG=1") >= before + 2)
    operated.pipe.read()
    since_s = time.monotonic()

    operated.gateway.order(actor, "hang 5")

    assert manager.listen(lambda _: manager.longest_silence_s(since_s) >= SETTLE_S)
    assert manager.listen(lambda _: manager.kicks_s[-1] > time.monotonic() - 0.1)
    kicked = wait_for("the kick of the device, which follows", lambda: operated.pipe.read() or None)
    assert set(kicked) == {0}
    dump = wait_for("a dump", lambda: _dump_of(operated, actor))
    assert "time.sleep(float(seconds))" in operated.bessai("dumps", dump).stdout


def _dump_of(operated: Operated, actor: str) -> str | None:
    listed = operated.bessai("dumps").stdout.split()
    return next((name for name in listed if name.endswith(f"{actor.replace('/', '_')}.txt")), None)


def test_sigterm_disarms_the_watchdog_leaves_the_device_safe_and_exits_with_0(
    operated: Operated,
) -> None:
    """Five devices are silent: one after the other they would exceed the time that the control cell has."""
    asked = operated.bessai("setpoint", "d1", "1500", "--ttl=60", "--reason=before the stop")
    assert asked.exit_code == 0, asked.stderr
    truth = operated.site.client.truth
    wait_for("forced power", lambda: truth("d1").forced_mode == 1)
    for silent in operated.site.names[1:]:
        operated.site.client.fault(silent, "hang")

    operated.gateway.process.send_signal(signal.SIGTERM)

    assert operated.gateway.process.wait(20.0) == 0
    assert truth("d1").forced_mode == 0
    assert operated.gateway.log.read_text(encoding="utf-8").count("device left") == 6
    assert operated.pipe.read().endswith(b"V")
    assert operated.manager.listen(lambda words: "STOPPING=1" in words)
    assert not (operated.gateway.state_dir / "command.sock").exists()


def test_without_a_gateway_orders_are_refused_and_the_record_is_still_there(
    operated: Operated,
) -> None:
    shown = operated.bessai("setpoint", "d1", "0", "--ttl=5", "--reason=x")
    assert shown.exit_code == 3
    assert "no gateway listens on " in shown.stderr
    assert operated.bessai("audit", "verify").exit_code == 0
