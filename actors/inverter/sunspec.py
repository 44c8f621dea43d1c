"""Recognises a SunSpec device: finds its models, checks who it is, and compiles how it is read and commanded.

Asking takes about two requests for each model of the device; it is done on every connection, because another firmware,
or a switch in the device's menu, may have moved everything.
"""

from __future__ import annotations

import re

from actors.inverter.errors import WrongDeviceError
from actors.inverter.found import Found, Read
from actors.inverter.sunspec_chain import walk
from actors.inverter.sunspec_compile import compile_profile
from actors.inverter.sunspec_profile import SunSpecProfile


async def discover(profile: SunSpecProfile, read: Read) -> Found:
    """Return who answers and the ordinary profile of that very device.

    Raises:
        WrongDeviceError: no SunSpec device, another one than `profile` is for, a broken chain, or no storage.
        LinkError: it could not be asked.
    """
    chain = await walk(read, profile.bases, profile.max_registers)
    manufacturer, model = chain.text("Mn"), chain.text("Md")
    for what, name, pattern in (
        ("manufacturer", manufacturer, profile.manufacturer_pattern),
        ("model", model, profile.model_pattern),
    ):
        if not re.fullmatch(pattern, name):
            msg = f"{what} {name!r} answers, this profile is for those like {pattern!r}"
            raise WrongDeviceError(msg)
    return Found(
        model=f"{manufacturer} {model}".strip(),
        serial=chain.text("SN"),
        firmware=chain.text("Vr"),
        profile=compile_profile(profile, chain),
    )
