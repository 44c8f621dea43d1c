"""Messages to bytes and back, for one closed union of message types.

Whoever sends encodes and whoever receives decodes, also inside one process: no object is ever shared.
"""

from __future__ import annotations

from typing import Any

import msgspec


class MalformedMessageError(Exception):
    """A body is not a message of the union; it becomes a dead letter, never a crash."""


class Codec:
    """Encodes and decodes the members of one tagged union as msgpack."""

    def __init__(self, union: Any) -> None:  # noqa: ANN401 - a typing construct, not a value
        """Serve the tagged struct types of `union`."""
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(union)

    def encode(self, message: msgspec.Struct) -> bytes:
        """Return the bytes of `message`."""
        return self._encoder.encode(message)

    def decode(self, body: bytes) -> Any:  # noqa: ANN401 - a member of the union, known to the caller
        """Return the message in `body`.

        Raises:
            MalformedMessageError: `body` is not a message of the union.
        """
        try:
            return self._decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            msg = f"not a message: {error}"
            raise MalformedMessageError(msg) from error
