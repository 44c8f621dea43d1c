"""How devices name themselves, read back with pymodbus' own decoder."""

from pymodbus.pdu import DecodePDU
from pymodbus.pdu.mei_message import ReadDeviceInformationResponse

from bessai.simulator.identification import MAX_PDU, Nameplate, identify

VENDOR = "HUAWEI"


def plates(count: int) -> list[Nameplate]:
    return [
        Nameplate(
            model="SUN2000-10KTL-M1",
            software="V100R001C00SPC156",
            serial_number=f"SIM00000-d{unit}",
            unit=unit,
            kind="SUN2000",
        )
        for unit in range(1, count + 1)
    ]


def asked(code: int, first: int, *, devices: int = 1) -> ReadDeviceInformationResponse:
    answer = identify(bytes((0x2B, 0x0E, code, first)), VENDOR, plates(devices))
    assert len(answer) <= MAX_PDU
    decoded = DecodePDU(is_server=False).decode(answer)
    assert isinstance(decoded, ReadDeviceInformationResponse)
    return decoded


def test_the_basic_objects_name_vendor_family_and_software() -> None:
    assert asked(1, 0).information == {0: b"HUAWEI", 1: b"SUN2000", 2: b"V100R001C00SPC156"}


def test_the_vendors_list_begins_with_the_number_of_devices() -> None:
    told = asked(3, 0x87).information
    assert told[0x87] == b"\x01"
    assert told[0x88] == (
        b"1=SUN2000-10KTL-M1;2=V100R001C00SPC156;3=D3.0;4=SIM00000-d1;5=1;8=SUN2000"
    )


def test_what_does_not_fit_into_one_answer_is_told_in_the_next() -> None:
    told: dict[int, bytes] = {}
    following = 0x87
    for _ in range(10):
        answer = asked(3, following, devices=7)
        told.update(answer.information)
        following = answer.next_object_id
        if not answer.more_follows:
            break
    assert list(told) == list(range(0x87, 0x87 + 8))
    assert told[0x87] == b"\x07"
    assert b";5=7;" in told[0x8E]


def test_one_object_can_be_asked_alone() -> None:
    assert asked(4, 0x87, devices=3).information == {0x87: b"\x03"}


def test_what_is_not_there_or_no_identification_answers_an_exception() -> None:
    for request, exception in (
        (b"\x2b\x0e\x04\x99", 2),
        (b"\x2b\x0e\x09\x00", 3),
        (b"\x2b\x0d\x01\x00", 1),
        (b"\x2b\x0e\x01", 1),
    ):
        assert identify(request, VENDOR, plates(1)) == bytes((0xAB, exception))
