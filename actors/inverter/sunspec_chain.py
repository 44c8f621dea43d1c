"""Walks the chain of models that a SunSpec device tells: finds its beginning, reads what is known, stops at its end.

A device may tell nonsense: no end, a length that leads nowhere, a model that cannot be read. A chain that cannot be
followed is an error that names the place; what can be read of a device that only lacks the mark at the end is used.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from actors.inverter.decode import decode_text
from actors.inverter.errors import (
    BusyError,
    DeviceError,
    IllegalAddressError,
    PermissionDeniedError,
    WrongDeviceError,
)
from actors.inverter.found import Read
from actors.inverter.profile_points import MAX_ADDRESS
from actors.inverter.sunspec_models import HEADER, Placed, known_models, layout

SUNS = (0x5375, 0x6E53)
"""`SunS` in two words: what stands before the first model."""
COMMON = 1
END = 0xFFFF
MAX_MODELS = 100
"""No device has as many; a chain that goes on is endless."""
MAX_LENGTH = 4096
"""Words of one model: the longest that are defined, curves and strings, stay below."""


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """One model as a device has it."""

    number: int
    ordinal: int
    """1 for the first of its number in the chain."""
    address: int
    """Of its first word, which holds its number."""
    length: int
    """As it tells, in words of data."""
    words: tuple[int, ...]
    """All of it; empty for a model that is not known or could not be read."""

    @property
    def prefix(self) -> str:
        """What the names of its points begin with."""
        return f"m{self.number}" if self.ordinal == 1 else f"m{self.number}_{self.ordinal}"

    def places(self) -> tuple[Placed, ...]:
        """Return the points that it has."""
        return layout(known_models()[self.number], self.length) if self.words else ()


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a device tells about itself."""

    base: int
    models: tuple[Model, ...]
    notes: tuple[str, ...]
    """What is wrong with it, in words."""

    def text(self, name: str) -> str:
        """Return a string of the common model, empty where it is none."""
        common = next(model for model in self.models if model.number == COMMON)
        for placed in common.places():
            if placed.path == name:
                words = common.words[placed.offset : placed.offset + placed.point.size]
                return decode_text(words)
        return ""


async def walk(read: Read, bases: tuple[int, ...], max_registers: int) -> Chain:
    """Return the chain of the device.

    Raises:
        WrongDeviceError: none of `bases` holds SunSpec's mark, the chain cannot be followed, or it has no common model.
        LinkError: it could not be asked.
    """
    for base in bases:
        try:
            mark = await read(base, len(SUNS))
        except (BusyError, PermissionDeniedError):
            raise
        except DeviceError:  # devices disagree on which exception says that there is nothing
            continue
        if tuple(mark) == SUNS:
            return await _Walk(read, max_registers, base).chain()
    listed = ", ".join(map(str, bases))
    msg = f"not a SunSpec device: no 'SunS' at {listed}"
    raise WrongDeviceError(msg)


class _Walk:
    """One walk from a base that holds the mark."""

    def __init__(self, read: Read, max_registers: int, base: int) -> None:
        self._read = _split(read, max_registers)
        self._base = base
        self._models: list[Model] = []
        self._notes: list[str] = []

    async def chain(self) -> Chain:
        address = self._base + len(SUNS)
        while (header := await self._header(address)) is not None:
            number, length = header
            if len(self._models) >= MAX_MODELS:
                self._broken(f"it does not end: more than {MAX_MODELS} models", address)
            self._models.append(await self._model(number, length, address))
            address += HEADER + length
        if not any(model.number == COMMON and model.words for model in self._models):
            self._broken("it has no common model (1) that can be read", address)
        return Chain(base=self._base, models=tuple(self._models), notes=tuple(self._notes))

    async def _header(self, address: int) -> tuple[int, int] | None:
        """Return number and length of the model at `address`; None at the end of the chain."""
        if address + HEADER - 1 > MAX_ADDRESS:
            self._broken("it runs beyond the last register", address)
        try:
            number, length = await self._read(address, HEADER)
        except DeviceError as error:
            await self._end(address, error)
            return None
        if number == END:
            return None
        if not 1 <= number < END or not 1 <= length <= MAX_LENGTH:
            self._broken(f"model {number} with {length} words makes no sense", address)
        return number, length

    async def _end(self, address: int, error: DeviceError) -> None:
        """Take a chain whose end cannot be read: some devices have one word there, some none at all."""
        if not isinstance(error, IllegalAddressError):
            raise error
        if not self._models:
            self._broken(f"it holds nothing: {error}", address)
        try:
            (word,) = await self._read(address, 1)
        except IllegalAddressError:
            word = None
        if word != END:
            self._notes.append(f"the chain has no mark at its end (register {address})")

    async def _model(self, number: int, length: int, address: int) -> Model:
        ordinal = 1 + sum(model.number == number for model in self._models)
        words: tuple[int, ...] = ()
        if number in known_models():
            try:
                words = tuple(await self._read(address, HEADER + length))
            except IllegalAddressError as error:
                self._notes.append(f"model {number} at {address} is left out: {error}")
        return Model(number=number, ordinal=ordinal, address=address, length=length, words=words)

    def _broken(self, what: str, address: int) -> None:
        walked = ", ".join(str(model.number) for model in self._models) or "none"
        msg = (
            f"the chain of SunSpec models from {self._base} is broken at register {address}: {what};"
            f" models before it: {walked}"
        )
        raise WrongDeviceError(msg)


def _split(read: Read, max_registers: int) -> Callable[[int, int], Awaitable[list[int]]]:
    """Return what reads any number of registers, in as many requests as that takes."""

    async def in_parts(address: int, count: int) -> list[int]:
        words: list[int] = []
        while len(words) < count:
            words += await read(address + len(words), min(count - len(words), max_registers))
        return words

    return in_parts
