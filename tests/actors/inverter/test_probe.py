"""What a probe says of devices that cannot be used."""

from __future__ import annotations

from actors.inverter.probe import probe
from tests.actors.inverter.driven import config
from tests.actors.inverter.scripted_peer import SILENT, ScriptedPeer, exception


def test_a_refused_connection_is_named() -> None:
    peer = ScriptedPeer()
    peer.close()
    report = probe(config(peer.port))
    assert not report.usable
    assert f"cannot connect to 127.0.0.1:{peer.port}: " in report.fault
    assert "refused" in report.fault


def test_an_unknown_host_name_is_named(peer: ScriptedPeer) -> None:
    assert (
        "cannot connect to no.such.host.invalid"
        in probe(config(peer.port, host="no.such.host.invalid")).fault
    )


def test_another_model_is_named(peer: ScriptedPeer) -> None:
    peer.name("SolarMax 5000", "X")
    assert "model 'SolarMax 5000' answers" in probe(config(peer.port)).fault


def test_points_that_safety_cannot_read_are_named(peer: ScriptedPeer) -> None:
    peer.script = lambda request: exception(request, 2) if request.address == 37000 else None
    assert (
        "safety cannot read soc_pct: read of 23 registers at 37000: no such register"
        in probe(config(peer.port)).fault
    )


def test_a_device_that_is_too_slow_as_a_whole_is_given_up(peer: ScriptedPeer) -> None:
    peer.script = lambda _request: SILENT
    assert (
        "not read completely within 0.05 s"
        in probe(config(peer.port, timeout_s=5.0), timeout_s=0.05).fault
    )
