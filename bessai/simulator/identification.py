"""How a device names itself and those behind it: function 0x2B/0x0E, with the vendor's list of devices.

The basic objects are those of the Modbus specification. In the vendor's list, object 0x87 holds the number of devices
in one byte and every object after it describes one device: "1=model;2=software;...;5=unit id;8=kind". What does not
fit into one answer is told in the next one, as the specification says.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

FUNCTION, SUBFUNCTION = 0x2B, 0x0E
BASIC, REGULAR, EXTENDED, SINGLE = 1, 2, 3, 4
DEVICE_COUNT = 0x87
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3
MAX_PDU = 253
_REQUEST_SIZE = 4
_HEAD_SIZE = 7
_CONFORMITY = 0x83
"""Basic, regular and extended objects, in a stream and one by one."""
_MORE = 0xFF
_LAST_BASIC = 2
_LAST_REGULAR = 0x7F


class Nameplate(msgspec.Struct, frozen=True, kw_only=True):
    """What one device says of itself."""

    model: str
    software: str
    serial_number: str
    unit: int
    kind: str
    """The family it belongs to, such as `SUN2000`."""
    protocol: str = "D3.0"

    def text(self) -> str:
        """Return the vendor's description of the device."""
        fields = {
            1: self.model,
            2: self.software,
            3: self.protocol,
            4: self.serial_number,
            5: self.unit,
            8: self.kind,
        }
        return ";".join(f"{number}={value}" for number, value in fields.items())


def identify(pdu: bytes, vendor: str, devices: Sequence[Nameplate]) -> bytes:
    """Return the answer to the request `pdu`, function code first; `devices` begins with the one that is asked."""
    if len(pdu) != _REQUEST_SIZE or pdu[1] != SUBFUNCTION:
        return bytes((FUNCTION | 0x80, ILLEGAL_FUNCTION))
    code, first = pdu[2], pdu[3]
    objects = _objects(vendor, devices)
    match code:
        case 1 | 2 | 3:
            last = {BASIC: _LAST_BASIC, REGULAR: _LAST_REGULAR, EXTENDED: 0xFF}[code]
            listed = {number: data for number, data in objects.items() if number <= last}
            return _stream(code, listed, first if first in listed else 0)
        case 4 if first in objects:
            return _answer(code, {first: objects[first]}, 0)
        case 4:
            return bytes((FUNCTION | 0x80, ILLEGAL_ADDRESS))
        case _:
            return bytes((FUNCTION | 0x80, ILLEGAL_VALUE))


def _objects(vendor: str, devices: Sequence[Nameplate]) -> dict[int, bytes]:
    own = devices[0]
    texts = {0: vendor, 1: own.kind, 2: own.software}
    listed = {DEVICE_COUNT + place: each.text() for place, each in enumerate(devices, 1)}
    fixed = {number: text.encode("ascii", "replace") for number, text in texts.items()}
    described = {number: text.encode("ascii", "replace") for number, text in listed.items()}
    return fixed | {DEVICE_COUNT: bytes((len(devices),))} | described


def _stream(code: int, objects: dict[int, bytes], first: int) -> bytes:
    """Return as many objects from `first` on as one answer holds."""
    told: dict[int, bytes] = {}
    room = MAX_PDU - _HEAD_SIZE
    for number in sorted(each for each in objects if each >= first):
        room -= 2 + len(objects[number])
        if room < 0:
            return _answer(code, told, number)
        told[number] = objects[number]
    return _answer(code, told, 0)


def _answer(code: int, told: dict[int, bytes], following: int) -> bytes:
    more = _MORE if following else 0
    head = bytes((FUNCTION, SUBFUNCTION, code, _CONFORMITY, more, following, len(told)))
    return head + b"".join(bytes((number, len(data))) + data for number, data in told.items())
