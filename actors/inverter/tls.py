"""Modbus/TCP Security: TLS with certificates on both sides, usually on port 802."""

from __future__ import annotations

import ssl
from pathlib import Path

import msgspec

TLS_PORT = 802
"""Registered for Modbus/TCP Security; a device's own configuration may say another."""


class TlsFileError(ValueError):
    """A certificate or key that cannot be used; the message names the key and the file."""


class Tls(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom to trust and who we are."""

    ca: str
    """File with the certificates (PEM) of the authorities that may vouch for the device."""
    certificate: str = ""
    """File with our own certificate (PEM), where the device asks for one."""
    key: str = ""
    """File with the key that belongs to it, without a password; empty: it is in the same file."""
    server_name: str = ""
    """The name in the device's certificate; empty: the host."""

    def __post_init__(self) -> None:
        """Refuse what can never work; whether the files can be used is told by `tls_context`."""
        if not self.ca:
            msg = "tls.ca is empty: give the file with the authority's certificate"
            raise ValueError(msg)
        if self.key and not self.certificate:
            msg = "tls.key is given without tls.certificate"
            raise ValueError(msg)


def tls_context(tls: Tls) -> ssl.SSLContext:
    """Return what a connection is made with; the files are read anew, so that a renewed certificate is used.

    Raises:
        TlsFileError: a file cannot be read, holds no certificate or key, or key and certificate are no pair.
    """
    for name in ("ca", "certificate", "key"):
        path = getattr(tls, name)
        if path and not Path(path).is_file():
            raise TlsFileError(f"tls.{name} = {path!r} is not a file that can be read")
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=tls.ca)
    except OSError as error:
        raise TlsFileError(
            f"tls.ca = {tls.ca!r} holds no certificate in PEM form: {_words(error)}"
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.certificate:
        _identify(context, tls)
    return context


def tls_reason(error: ssl.SSLError) -> str:
    """Return why a handshake failed, and what to do about it, for people."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: the device's certificate is not trusted: {error.verify_message}; see tls.ca and tls.server_name"
    if "WRONG_VERSION" in (error.reason or ""):
        return "TLS: it does not speak TLS on this port"
    if "CERTIFICATE" in (error.reason or ""):
        return (
            f"TLS: it refuses our certificate or misses it ({_words(error)}); see tls.certificate"
        )
    return f"TLS: {_words(error)}"


def _identify(context: ssl.SSLContext, tls: Tls) -> None:
    def no_password() -> str:
        raise TlsFileError(
            f"tls.key = {tls.key or tls.certificate!r} asks for a password: give a key without"
        )

    try:
        context.load_cert_chain(tls.certificate, tls.key or None, no_password)
    except OSError as error:
        raise TlsFileError(
            f"tls.certificate = {tls.certificate!r} and tls.key = {tls.key!r} cannot be used together: {_words(error)}"
        ) from error


def _words(error: OSError) -> str:
    reason = error.reason if isinstance(error, ssl.SSLError) else None
    return (reason or error.strerror or str(error)).lower().replace("_", " ")
