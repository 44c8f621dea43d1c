"""Keys that verify requests from outside: read from files, and never shown."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from pathlib import Path
from typing import Final, assert_never

from actors.publisher.command_config import Algorithm, CommandKey

Verify = Callable[[bytes, bytes], bool]
"""Whether (payload, signature) belong together."""
SECRET_BYTES: Final = 32
"""As many as the hash of HMAC-SHA256 has; a shorter secret is weaker than the hash."""
_PUBLIC_BYTES: Final = 32


class KeyFileError(Exception):
    """A key cannot be used; the message names the file and the fix, and nothing of its content."""


def load_key(key: CommandKey) -> Verify:
    """Return what verifies signatures made with `key`.

    Raises:
        KeyFileError: the file cannot be read, or holds no such key.
    """
    material = _read(key)
    match key.algorithm:
        case Algorithm.HMAC_SHA256:
            if len(material) < SECRET_BYTES:
                raise KeyFileError(
                    f"key {key.id!r} in {key.file} has {len(material)} bytes: expected at least"
                    f" {SECRET_BYTES} random ones in base64, as of `openssl rand -base64 {SECRET_BYTES}`"
                )
            return lambda payload, signature: hmac.compare_digest(
                hmac.digest(material, payload, hashlib.sha256), signature
            )
        case Algorithm.ED25519:
            return _ed25519(key, material)
        case _:
            assert_never(key.algorithm)


def _read(key: CommandKey) -> bytes:
    try:
        return base64.b64decode(Path(key.file).read_bytes().strip(), validate=True)
    except OSError as error:
        raise KeyFileError(
            f"key {key.id!r} in {key.file} cannot be read: {error.strerror}; name a file that the"
            " gateway's user may read"
        ) from error
    except binascii.Error as error:
        raise KeyFileError(f"key {key.id!r} in {key.file} is not base64: {error}") from error


def _ed25519(key: CommandKey, material: bytes) -> Verify:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - for who has such keys
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415 - as above
        Ed25519PublicKey,
    )

    if len(material) != _PUBLIC_BYTES:
        raise KeyFileError(
            f"key {key.id!r} in {key.file} has {len(material)} bytes: expected the {_PUBLIC_BYTES}"
            " bytes of an Ed25519 public key in base64"
        )
    public = Ed25519PublicKey.from_public_bytes(material)

    def verify(payload: bytes, signature: bytes) -> bool:
        try:
            public.verify(signature, payload)
        except InvalidSignature:
            return False
        return True

    return verify
