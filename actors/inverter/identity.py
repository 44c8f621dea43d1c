"""Makes sure that the device that answers is the one that the profile describes."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

import msgspec

from actors.inverter.decode import decode_text
from actors.inverter.errors import IllegalAddressError, WrongDeviceError
from actors.inverter.profile import Identity, Requirement

Read = Callable[[int, int], Awaitable[list[int]]]
"""Returns `count` registers from `address`, as `Wire.read` does."""


class Found(msgspec.Struct, frozen=True):
    """Who answered."""

    model: str
    serial: str


async def identify(identity: Identity, read: Read) -> Found:
    """Return who answers, after it has been found to be what `identity` describes.

    Raises:
        WrongDeviceError: it is something else; the message says what was found and what was expected.
        LinkError: it could not be asked.
    """
    try:
        words = await read(identity.address, identity.count)
    except IllegalAddressError as error:
        msg = f"not a device of this profile, it has no identity registers: {error}"
        raise WrongDeviceError(msg) from error
    model = _text(words, identity.model_offset, identity.model_registers)
    serial = _text(words, identity.serial_offset, identity.serial_registers)
    if not re.fullmatch(identity.model_pattern, model):
        msg = f"model {model!r} answers, this profile is for models like {identity.model_pattern!r}"
        raise WrongDeviceError(msg)
    for requirement in identity.requires:
        await _demand(requirement, read)
    return Found(model, serial)


def _text(words: list[int], offset: int, registers: int) -> str:
    return decode_text(words[offset : offset + registers])


async def _demand(requirement: Requirement, read: Read) -> None:
    (value,) = await read(requirement.address, 1)
    if value not in requirement.allowed:
        expected = " or ".join(str(allowed) for allowed in requirement.allowed)
        msg = f"{requirement.reason} ({requirement.name} at {requirement.address} is {value}, expected {expected})"
        raise WrongDeviceError(msg)
