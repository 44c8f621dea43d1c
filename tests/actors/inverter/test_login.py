"""Where a device wants a login, a person is told whose; nobody logs in."""

from __future__ import annotations

from actors.inverter.errors import BusyError, PermissionDeniedError, told
from actors.messages import WriteResult
from tests.actors.inverter.driven import PROFILE, Driven
from tests.actors.inverter.scripted_peer import ScriptedPeer, exception


def test_a_refused_write_says_which_login_is_needed(peer: ScriptedPeer, subject: Driven) -> None:
    peer.script = lambda request: exception(request, 0x80) if request.written else None
    report = subject.report(subject.approve(1000.0))
    assert report.result is WriteResult.REJECTED
    assert "a login is needed" in report.detail
    assert "installer" in report.detail
    assert 49999 not in {request.address for request in peer.requests}


def test_other_errors_are_told_as_they_are() -> None:
    assert told(BusyError(6, "read"), PROFILE.login) == str(BusyError(6, "read"))
    assert told(PermissionDeniedError(0x80, "read"), "").endswith("(exception code 0x80)")
