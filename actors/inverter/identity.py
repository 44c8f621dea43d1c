"""Makes sure that the device that answers is the one that the profile describes."""

from __future__ import annotations

import re

from actors.inverter.decode import decode_text
from actors.inverter.errors import IllegalAddressError, WrongDeviceError
from actors.inverter.found import Found, Read
from actors.inverter.profile import AnyProfile, Profile, Requirement
from actors.inverter.sunspec import discover
from actors.inverter.sunspec_profile import SunSpecProfile


async def recognise(profile: AnyProfile, read: Read) -> Found:
    """Return who answers and the profile by which it is read and commanded.

    Raises:
        WrongDeviceError: it is no device of `profile`; the message says what was found and what was expected.
        LinkError: it could not be asked.
    """
    match profile:
        case Profile():
            return await identify(profile, read)
        case SunSpecProfile():
            return await discover(profile, read)


async def identify(profile: Profile, read: Read) -> Found:
    """Return who answers, after it has been found to be what `profile` describes.

    Raises:
        WrongDeviceError: it is something else; the message says what was found and what was expected.
        LinkError: it could not be asked.
    """
    identity = profile.identity
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
    return Found(model, serial, "", profile)


def _text(words: list[int], offset: int, registers: int) -> str:
    return decode_text(words[offset : offset + registers])


async def _demand(requirement: Requirement, read: Read) -> None:
    (value,) = await read(requirement.address, 1)
    if value not in requirement.allowed:
        expected = " or ".join(str(allowed) for allowed in requirement.allowed)
        msg = f"{requirement.reason} ({requirement.name} at {requirement.address} is {value}, expected {expected})"
        raise WrongDeviceError(msg)
