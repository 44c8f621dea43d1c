"""Modbus/TCP Security: both sides show certificates, and whoever is not trusted is told so."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme
import uvloop

from actors.inverter.errors import ConnectError
from actors.inverter.tls import Tls, TlsFileError, tls_context
from actors.inverter.wire import Address, Wire
from actors.messages import LinkState, WriteResult
from tests.actors.inverter.linked import CHARGE, READ, Heard, connect, write
from tests.actors.inverter.scripted_peer import ScriptedPeer, scripted_peer


class Site(NamedTuple):
    """The certificates of a site, as files."""

    ca: str
    stranger: str
    certificate: str
    """With its key."""
    key: str
    other_key: str


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Who vouches for the devices and gateways of a site."""
    return trustme.CA()


@pytest.fixture(scope="module")
def site(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Everything that may be configured, right and wrong."""
    folder = tmp_path_factory.mktemp("certificates")
    ours, other = authority.issue_cert("gateway.test"), authority.issue_cert("other.test")
    blobs = {
        "ca": authority.cert_pem,
        "stranger": trustme.CA().cert_pem,
        "certificate": ours.private_key_and_cert_chain_pem,
        "key": ours.private_key_pem,
        "other_key": other.private_key_pem,
    }
    for name, blob in blobs.items():
        blob.write_to_path(folder / f"{name}.pem")
    return Site(**{name: str(folder / f"{name}.pem") for name in blobs})


def device(authority: trustme.CA, *, strict: bool = False) -> ssl.SSLContext:
    """Return what a device answers with; a strict one wants to see a certificate of the authority's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    if strict:
        context.verify_mode = ssl.CERT_REQUIRED
        authority.configure_trust(context)
    return context


@pytest.fixture
def secure(authority: trustme.CA) -> Iterator[ScriptedPeer]:
    """A device that speaks TLS."""
    with scripted_peer(device(authority)) as peer:
        yield peer


@pytest.fixture
def strict(authority: trustme.CA) -> Iterator[ScriptedPeer]:
    """A device that also wants to know who we are."""
    with scripted_peer(device(authority, strict=True)) as peer:
        yield peer


def refusal(peer: ScriptedPeer, heard: Heard, tls: Tls) -> str:
    connect(peer, heard, tls=tls, timeout_s=2.0)
    return heard.until(LinkState.OFFLINE).reason


def test_a_device_is_read_and_written_over_tls(
    secure: ScriptedPeer, heard: Heard, site: Site
) -> None:
    link = connect(secure, heard, tls=Tls(ca=site.ca), timeout_s=2.0)
    heard.until(LinkState.ONLINE)
    link.submit(READ, write(1, CHARGE))
    assert heard.words() == [500]
    assert heard.outcome(1).result is WriteResult.VERIFIED


@pytest.mark.parametrize("key", ["", "key"])
def test_a_device_that_wants_a_certificate_gets_ours(
    strict: ScriptedPeer, heard: Heard, site: Site, key: str
) -> None:
    tls = Tls(ca=site.ca, certificate=site.certificate, key=getattr(site, key) if key else "")
    connect(strict, heard, tls=tls, timeout_s=2.0)
    heard.until(LinkState.ONLINE)


def test_a_device_that_misses_our_certificate_says_so(
    strict: ScriptedPeer, heard: Heard, site: Site
) -> None:
    reason = refusal(strict, heard, Tls(ca=site.ca))
    assert (
        "closed the connection" in reason
    )  # TLS 1.3 tells after the handshake, if the network lets it
    assert "does it want to see another tls.certificate?" in reason


def test_a_device_of_another_authority_is_not_trusted(
    secure: ScriptedPeer, heard: Heard, site: Site
) -> None:
    reason = refusal(secure, heard, Tls(ca=site.stranger))
    assert "the device's certificate is not trusted: unable to get local issuer" in reason
    assert secure.requests == []


def test_a_device_of_another_name_is_not_trusted(
    secure: ScriptedPeer, heard: Heard, site: Site
) -> None:
    reason = refusal(secure, heard, Tls(ca=site.ca, server_name="inverter.test"))
    assert "Hostname mismatch" in reason
    assert "tls.server_name" in reason


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        (b"", "it closed the connection instead of speaking TLS"),
        (bytes(20), "it does not speak TLS on this port"),
    ],
)
def test_a_device_that_does_not_speak_tls_is_told_as_such(
    site: Site, says: bytes, reason: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
        answering = threading.Thread(target=answer_plainly, args=(listener, says))
        answering.start()
        wire = Wire(Address(host=host, port=port, tls=Tls(ca=site.ca)), lambda: None)
        with pytest.raises(ConnectError, match=reason):
            uvloop.run(wire.open(5.0))
        answering.join()


def answer_plainly(listener: socket.socket, says: bytes) -> None:
    client, _ = listener.accept()
    with client:
        client.recv(4096)
        client.sendall(says)


def test_certificates_that_vanish_are_named_and_used_when_they_are_back(
    secure: ScriptedPeer, heard: Heard, site: Site, tmp_path: Path
) -> None:
    ca = tmp_path / "ca.pem"
    connect(secure, heard, tls=Tls(ca=str(ca)), timeout_s=2.0)
    assert "ca.pem' is not a file" in heard.until(LinkState.OFFLINE).reason
    ca.write_bytes(Path(site.ca).read_bytes())
    heard.until(LinkState.ONLINE)


def test_devices_with_other_certificates_do_not_share_a_connection(
    secure: ScriptedPeer, heard: Heard, site: Site
) -> None:
    for tls in (Tls(ca=site.ca), Tls(ca=site.ca, certificate=site.certificate)):
        connect(secure, heard, tls=tls, timeout_s=2.0)
    heard.until(LinkState.ONLINE, times=2)
    assert secure.connections == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ca": "no.pem"}, r"tls.ca = 'no.pem' is not a file"),
        ({"ca": "key"}, r"tls.ca = .* holds no certificate in PEM form"),
        ({"certificate": "no.pem"}, r"tls.certificate = 'no.pem' is not a file"),
        ({"certificate": "certificate", "key": "other_key"}, "cannot be used together: key values"),
        ({"certificate": "ca"}, "cannot be used together"),
    ],
)
def test_files_that_cannot_be_used_are_named(
    site: Site, changes: dict[str, str], message: str
) -> None:
    files = {key: getattr(site, name, name) for key, name in ({"ca": "ca"} | changes).items()}
    with pytest.raises(TlsFileError, match=message):
        tls_context(Tls(**files))


def test_a_key_with_a_password_is_refused_instead_of_asking_on_a_terminal(
    site: Site, tmp_path: Path
) -> None:
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(Path(site.key).read_bytes(), None)
    locked = tmp_path / "locked.pem"
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(TlsFileError, match=r"locked.pem' asks for a password"):
        tls_context(Tls(ca=site.ca, certificate=site.certificate, key=str(locked)))
