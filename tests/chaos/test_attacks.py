"""Attacks on the fieldbus, on real sockets: each is detected, and ends safe by the simulated device's own record.

The ids are those of ATT&CK for ICS v19, with the older ones behind. An attack has a device of its own, because one that
was attacked a few times takes no set-points for a while; all but the last are being charged by the dispatcher.
"""

from __future__ import annotations

import itertools
import re
import threading
import urllib.request
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from pymodbus.client import ModbusTcpClient

from bessai.simulator.record import WriteRecord
from bessai.testing import FORCED_MODE, Gateway, SimulatedSite, usual_profile, wait_for
from tests.chaos.middleman import Middleman, between

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]

ROGUE, PARAMETERS, SPOOFED, BLOCKED, LAME, REPLAYED, RESTING = (f"d{n}" for n in range(1, 8))
COUNTDOWN_S = 3.0
SITE = f"""[devices.safety]
max_charge_w = 0.0
[safety]
stale_after_s = 1.0
[dispatcher]
decide_s = 0.4
ttl_s = 2.0
time_of_use = {{ charge_hours_utc = {list(range(24))} }}
"""
CONTROLS = ("storage_settings", "remote_control", "storage_command", "storage_forced")


def quick_profile() -> str:
    """The usual profile with all its checks, for a test that has no half minute."""
    text = usual_profile().replace("settle_s = 30,", "settle_s = 2,")
    text = text.replace("renew_s = 45.0", "renew_s = 0.5").replace(
        "timeout_s = 5.0", "timeout_s = 0.5"
    )
    text = text.replace("reconnect_max_s = 30.0", "reconnect_max_s = 1.0")
    for block in CONTROLS:
        text = text.replace(
            f'name = "{block}"\nclass = "slow"', f'name = "{block}"\nclass = "fast"'
        )
    return text


class Attacked(NamedTuple):
    """The gateway, the site that judges it, and who stands between one device and it."""

    site: SimulatedSite
    gateway: Gateway
    middleman: Middleman


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    """A gateway that charges six batteries, and leaves the seventh alone."""
    directory = tmp_path_factory.mktemp("attacks")
    settings = {"countdown_s_per_min": COUNTDOWN_S / 2, "soc_pct": 50.0}
    profile = directory / "profile.toml"
    profile.write_text(quick_profile(), encoding="utf-8")
    with SimulatedSite(directory, devices=7, settings=settings) as site:
        place = next(each for each in site.ready.devices if each.name == REPLAYED)
        gateway = Gateway(site, directory, extra=SITE, poll_s=0.2, profile=str(profile))
        with between(place.host, place.port) as middleman:
            text = gateway.config.read_text("utf-8")
            text = text.replace(f"port = {place.port}\n", f"port = {middleman.port}\n")
            gateway.config.write_text(text, "utf-8")
            with gateway:
                arena = Attacked(site, gateway, middleman)
                for device in (ROGUE, PARAMETERS, SPOOFED, BLOCKED, LAME, REPLAYED):
                    wait_until_charging(arena, device)
                yield arena


def wait_until_charging(arena: Attacked, device: str) -> None:
    def charging() -> bool:
        truth = arena.site.client.truth(device)
        return truth.forced_mode == 1 and truth.battery_power_w > 500

    wait_for(f"a forced charge of {device}", charging, timeout_s=40.0)


def wait_until_unforced(arena: Attacked, device: str, *, timeout_s: float = 10.0) -> None:
    wait_for(
        f"the end of forced power of {device}",
        lambda: arena.site.client.truth(device).forced_mode == 0,
        timeout_s=timeout_s,
    )


def counted(arena: Attacked, metric: str, **labels: str) -> float:
    """Return the sum of a metric over everything that has `labels`."""
    url = f"http://127.0.0.1:{arena.gateway.port}/metrics"
    with urllib.request.urlopen(url, timeout=5.0) as answer:
        lines = answer.read().decode().splitlines()
    wanted = [f'{name}="{value}"' for name, value in labels.items()]
    found = re.compile(rf"bessai_{metric}(_total)?{{")
    return sum(
        float(line.rpartition(" ")[2])
        for line in lines
        if found.match(line) and all(each in line for each in wanted)
    )


def wait_until_counted(arena: Attacked, metric: str, **labels: str) -> None:
    wait_for(f"{metric} of {labels}", lambda: counted(arena, metric, **labels) > 0, timeout_s=20.0)


def wait_until_logged(arena: Attacked, *words: str) -> None:
    def logged() -> bool:
        lines = arena.gateway.log.read_text("utf-8").splitlines()
        return any(all(word in line for word in words) for line in lines)

    wait_for(f"{words} in one line of the log", logged)


def seen(arena: Attacked, device: str) -> int:
    writes = arena.site.client.writes(device)
    return writes[-1].index + 1 if writes else 0


def stops(arena: Attacked, device: str, since: int) -> list[WriteRecord]:
    writes = arena.site.client.writes(device, since)
    return [w for w in writes if (w.address, w.words, w.result) == (FORCED_MODE, [0], "ok")]


def wait_for_stop(arena: Attacked, device: str, since: int) -> WriteRecord:
    def stopped() -> WriteRecord | None:
        return next(iter(stops(arena, device, since)), None)

    return wait_for(f"a stop at {device}", stopped)


def master(arena: Attacked, device: str) -> ModbusTcpClient:
    """A second master on the wire."""
    place = next(each for each in arena.site.ready.devices if each.name == device)
    client = ModbusTcpClient(place.host, port=place.port, timeout=3.0)
    assert client.connect()  # type: ignore[no-untyped-call]
    return client


def write(client: ModbusTcpClient, address: int, *words: int) -> None:
    if len(words) == 1:
        assert not client.write_register(address, words[0], device_id=1).isError()
    else:
        assert not client.write_registers(address, list(words), device_id=1).isError()


def force_discharge(client: ModbusTcpClient) -> None:
    write(client, 47246, 0)
    write(client, 47083, 30)
    write(client, 47249, 0, 3000)
    write(client, FORCED_MODE, 2)


def test_an_unauthorized_command_is_overwritten_by_the_set_point_that_holds(
    attacked: Attacked,
) -> None:
    """T1692.001 (T0855), T0848: a rogue master discharges a battery that is to be charged."""
    with master(attacked, ROGUE) as rogue:
        force_discharge(rogue)
    wait_until_counted(attacked, "safety_events", device=ROGUE, event="foreign_write")
    wait_until_charging(attacked, ROGUE)
    wait_until_logged(attacked, '"device": "d1"', '"action": "reasserted"')


def test_forced_power_that_nobody_ordered_is_ended(attacked: Attacked) -> None:
    """T1692.001 (T0855), T0848: a rogue master discharges a battery at rest."""
    since = seen(attacked, RESTING)
    with master(attacked, RESTING) as rogue:
        force_discharge(rogue)
    wait_for_stop(attacked, RESTING, since)
    wait_until_unforced(attacked, RESTING)
    wait_until_counted(
        attacked, "safety_events", device=RESTING, event="foreign_write", rule="battery_mode"
    )


def test_a_changed_limit_is_told_and_a_forbidden_set_point_ends(attacked: Attacked) -> None:
    """T0836: a rogue master moves the device's own limits, which are not ours to write back."""
    since = seen(attacked, PARAMETERS)
    with master(attacked, PARAMETERS) as rogue:
        write(rogue, 47081, 900)
        write(rogue, 47087, 0)
    for rule in ("charging_cutoff_soc_pct", "charge_from_grid"):
        wait_until_counted(
            attacked, "safety_events", device=PARAMETERS, event="foreign_write", rule=rule
        )
    wait_for_stop(attacked, PARAMETERS, since)
    written = [w.address for w in attacked.site.client.writes(PARAMETERS, since)]
    assert (written.count(47081), written.count(47087)) == (1, 1)


def test_a_spoofed_state_of_charge_ends_the_set_point(attacked: Attacked) -> None:
    """T1692.002 (T0856): reports say what no battery can do."""
    since = seen(attacked, SPOOFED)
    attacked.site.client.override(SPOOFED, "soc_pct", 75.0)
    wait_for_stop(attacked, SPOOFED, since)
    wait_until_unforced(attacked, SPOOFED)
    wait_until_counted(attacked, "device_doubted_values", device=SPOOFED)


def test_a_stop_that_is_acknowledged_and_ignored_is_known_not_to_have_worked(
    attacked: Attacked,
) -> None:
    """T1691.001 (T0803): commands are blocked on their way, and acknowledged."""
    attacked.site.client.clear(SPOOFED)
    wait_until_charging(attacked, SPOOFED)
    attacked.site.client.fault(SPOOFED, "ignore_writes")
    attacked.site.client.override(SPOOFED, "soc_pct", 75.0)
    wait_until_counted(attacked, "writes", device=SPOOFED, command="safe", result="unverified")
    attacked.site.client.end_fault(SPOOFED)
    wait_until_unforced(attacked, SPOOFED)


def test_a_device_whose_reports_are_blocked_is_stopped_by_its_own_countdown_and_then_by_us(
    attacked: Attacked,
) -> None:
    """T1691.002 (T0804): reads are swallowed, so that not even its identity can be read."""
    attacked.site.client.fault(BLOCKED, "hang", scope="reads")
    wait_until_unforced(attacked, BLOCKED, timeout_s=COUNTDOWN_S + 10.0)
    since = seen(attacked, BLOCKED)
    attacked.site.client.end_fault(BLOCKED)
    wait_for_stop(attacked, BLOCKED, since)
    commands = [w for w in attacked.site.client.writes(BLOCKED, since) if w.address == FORCED_MODE]
    assert commands[0].words == [0]
    wait_until_logged(attacked, f'"device": "{BLOCKED}"', "no answer within 0.5 s")


def test_replayed_answers_are_no_answers(attacked: Attacked) -> None:
    """T0830, T1692.002 (T0856): somebody between us and the device repeats old answers."""
    since = seen(attacked, REPLAYED)
    attacked.middleman.replays = True
    wait_until_counted(attacked, "device_errors", device=REPLAYED, kind="stale_frame")
    wait_until_unforced(attacked, REPLAYED, timeout_s=COUNTDOWN_S + 10.0)
    attacked.middleman.replays = False
    wait_for_stop(attacked, REPLAYED, since)
    assert attacked.middleman.replayed > 0


def test_a_set_point_that_moves_no_power_is_unverified_and_ended(attacked: Attacked) -> None:
    """T0831: the device obeys in every register and a limit that nobody reads keeps it from acting."""
    since = seen(attacked, LAME)
    attacked.site.client.set_state(LAME, grid_charge_power_w=0)
    wait_until_counted(attacked, "safety_events", device=LAME, event="unverified")
    wait_for_stop(attacked, LAME, since)
    assert counted(attacked, "writes", device=LAME, command="setpoint", result="unverified") > 0


def test_a_flood_of_foreign_writes_hides_no_command_among_them(attacked: Attacked) -> None:
    """T0814, T0806: a rogue master writes as fast as it can, and forces power meanwhile."""
    since, over = seen(attacked, RESTING), threading.Event()

    def flood() -> None:
        with master(attacked, RESTING) as rogue:
            for value in itertools.cycle((0, 50, 100)):
                if over.is_set():
                    return
                write(rogue, 47082, value)

    thread = threading.Thread(target=flood)
    thread.start()
    try:
        with master(attacked, RESTING) as rogue:
            force_discharge(rogue)
        wait_for_stop(attacked, RESTING, since)
    finally:
        over.set()
        thread.join()
    wait_until_unforced(attacked, RESTING)
    ours = [w for w in attacked.site.client.writes(RESTING, since) if w.address != 47082]
    assert len(ours) < 30
