"""The device on its socket, asked with pymodbus' own client."""

import socket
import struct
from typing import Any

import pytest
from pymodbus.client import ModbusTcpClient

from bessai.simulator.control import SimulatorClient
from bessai.simulator.record import TruthRecord
from bessai.simulator.site import Ready
from tests.bessai.simulator.simulated import until

TYPE = ModbusTcpClient.DATATYPE
U16, I16, U32, I32 = TYPE.UINT16, TYPE.INT16, TYPE.UINT32, TYPE.INT32

TABLE: list[tuple[int, int, Any, float, str]] = [
    (32064, 2, I32, 1, "pv_w"),
    (32080, 2, I32, 1, "ac_power_w"),
    (32095, 2, I32, 1, "ac_power_w"),
    (37001, 2, I32, 1, "battery_power_w"),
    (37003, 1, U16, 10, "battery_voltage_v"),
    (37004, 1, U16, 10, "soc_pct"),
    (37006, 1, U16, 1, "active_mode"),
    (37021, 1, I16, 10, "battery_current_a"),
    (37022, 1, I16, 10, "temperature_c"),
    (37025, 1, U16, 1, "remaining_min"),
    (37046, 2, U32, 1, "max_charge_w"),
    (37048, 2, U32, 1, "max_discharge_w"),
    (37113, 2, I32, 1, "grid_export_w"),
    (37760, 1, U16, 10, "soc_pct"),
    (37763, 1, U16, 10, "battery_voltage_v"),
    (37764, 1, I16, 10, "battery_current_a"),
    (37765, 2, I32, 1, "battery_power_w"),
    (38229, 1, U16, 10, "soc_pct"),
    (38452, 1, I16, 10, "temperature_c"),
    (38453, 1, I16, 10, "temperature_c"),
    (47100, 1, U16, 1, "forced_mode"),
]
"""Address, count, type and gain from the register document; last, the truth that it must equal."""

FIXED: list[tuple[int, int, Any, float, float]] = [
    (30071, 1, U16, 1, 2),
    (30073, 2, U32, 1, 10_000),
    (30075, 2, U32, 1, 11_000),
    (32000, 1, U16, 1, 0b110),
    (32008, 1, U16, 1, 0),
    (32066, 1, U16, 10, 398.4),
    (32069, 1, U16, 10, 230.0),
    (32084, 1, I16, 1000, 1.0),
    (32085, 1, U16, 100, 50.0),
    (32089, 1, U16, 1, 0x0200),
    (37007, 2, U32, 1, 5000),
    (37100, 1, U16, 1, 1),
    (37101, 2, I32, 10, 230.0),
    (37118, 1, I16, 100, 50.0),
    (37125, 1, U16, 1, 1),
    (37758, 2, U32, 1, 15_000),
    (47000, 1, U16, 1, 2),
    (47075, 2, U32, 1, 5000),
    (47081, 1, U16, 10, 100.0),
    (47082, 1, U16, 10, 5.0),
    (47086, 1, U16, 1, 2),
    (47087, 1, U16, 1, 1),
    (47416, 2, I32, 1, 10_000),
    (47418, 1, I16, 10, 100.0),
    (47589, 1, I16, 1, 0),
    (47675, 2, I32, 1, 10_000),
]

FIELD_PROVEN_BLOCKS = [
    (30000, 83),
    (32000, 11),
    (32016, 48),
    (32064, 18),
    (32066, 50),
    (37000, 23),
    (37046, 4),
    (37066, 4),
    (37100, 38),
    (37758, 30),
    (38229, 13),
    (47075, 14),
    (47081, 7),
    (47101, 6),
    (47246, 5),
    (47415, 4),
]


def value(client: ModbusTcpClient, address: int, count: int, kind: Any, gain: float) -> float:
    words = client.read_holding_registers(address, count=count).registers
    number = client.convert_from_registers(words, kind)
    assert isinstance(number, int)
    return number / gain


def text(client: ModbusTcpClient, address: int, count: int) -> str:
    words = client.read_holding_registers(address, count=count).registers
    return str(client.convert_from_registers(words, TYPE.STRING))


def force(client: ModbusTcpClient, mode: int, power_w: int, minutes: int = 1000) -> None:
    for address, words in (
        (47246, [0]),
        (47083, [minutes]),
        (47245 + 2 * mode, [0, power_w]),
        (47100, [mode]),
    ):
        assert not client.write_registers(address, words).isError()


@pytest.mark.parametrize(("mode", "power_w"), [(1, 2000), (2, 1500)])
def test_every_measured_register_equals_the_truth(
    modbus: ModbusTcpClient, control: SimulatorClient, mode: int, power_w: int
) -> None:
    control.set_state("d1", pv_w=900, load_w=700, temperature_c=31.26)
    force(modbus, mode, power_w)
    signed_w = power_w if mode == 1 else -power_w
    until(lambda: control.truth("d1").battery_power_w == signed_w, "the battery follows")
    for address, count, kind, gain, name in TABLE:
        before = truth_of(control.truth("d1"), name)
        reported = value(modbus, address, count, kind, gain)
        after = truth_of(control.truth("d1"), name)
        low, high = sorted((before, after))
        assert low - 1 / gain <= reported <= high + 1 / gain, (address, name)


def truth_of(truth: TruthRecord, name: str) -> float:
    return float(getattr(truth, name))


@pytest.mark.parametrize("row", FIXED)
def test_every_fixed_register_has_its_documented_type_and_gain(
    modbus: ModbusTcpClient, row: tuple[int, int, Any, float, float]
) -> None:
    address, count, kind, gain, expected = row
    assert value(modbus, address, count, kind, gain) == expected


def test_the_signs_are_the_vendors(modbus: ModbusTcpClient, control: SimulatorClient) -> None:
    force(modbus, 1, 1000)
    until(lambda: value(modbus, 37001, 2, I32, 1) == 1000, "37001 is positive while charging")
    assert value(modbus, 32080, 2, I32, 1) < 0
    assert value(modbus, 37113, 2, I32, 1) < 0
    force(modbus, 2, 1000)
    until(lambda: value(modbus, 37001, 2, I32, 1) == -1000, "37001 is negative while discharging")
    assert value(modbus, 32080, 2, I32, 1) > 0
    assert value(modbus, 37113, 2, I32, 1) > 0
    control.set_state("d1", load_w=4000)
    assert value(modbus, 37113, 2, I32, 1) < 0


def test_the_device_says_who_it_is(modbus: ModbusTcpClient, control: SimulatorClient) -> None:
    assert text(modbus, 30000, 15) == "SUN2000-10KTL-M1"
    first, second = control.devices()
    assert text(modbus, 30015, 10) == first.serial_number
    assert first.serial_number != second.serial_number


@pytest.mark.parametrize(("address", "count"), FIELD_PROVEN_BLOCKS)
def test_blocks_that_work_in_the_field_are_one_read(
    modbus: ModbusTcpClient, address: int, count: int
) -> None:
    assert len(modbus.read_holding_registers(address, count=count).registers) == count


@pytest.mark.parametrize(
    ("address", "count"),
    [(29999, 1), (37000, 70), (37024, 1), (37410, 1), (37498, 2), (40900, 1), (60000, 1)],
)
def test_holes_answer_exception_2(modbus: ModbusTcpClient, address: int, count: int) -> None:
    assert modbus.read_holding_registers(address, count=count).exception_code == 2


def test_writes_out_of_range_answer_exception_3_and_keep_the_old_value(
    modbus: ModbusTcpClient,
) -> None:
    modbus.write_registers(47247, [0, 4000])
    assert modbus.write_registers(47247, [0, 5001]).exception_code == 3
    assert value(modbus, 47247, 2, U32, 1) == 4000
    assert modbus.write_register(47100, 3).exception_code == 3
    assert modbus.write_register(37004, 100).exception_code == 2


def test_other_functions_and_other_units_get_no_data(modbus: ModbusTcpClient) -> None:
    assert modbus.read_input_registers(37004, count=1).exception_code == 1
    assert modbus.read_coils(37004, count=1).exception_code == 1
    assert modbus.read_holding_registers(37004, count=1, device_id=2).exception_code == 11


def test_a_forced_command_counts_down_and_the_device_falls_back_by_itself(
    modbus: ModbusTcpClient,
) -> None:
    force(modbus, 1, 1000, minutes=3)
    assert value(modbus, 37006, 1, U16, 1) == 1
    assert value(modbus, 37025, 1, U16, 1) in {2, 3}
    until(lambda: value(modbus, 47100, 1, U16, 1) == 0, "47100 reads 0 after the countdown")
    assert value(modbus, 37006, 1, U16, 1) == 4
    assert value(modbus, 37025, 1, U16, 1) == 0
    until(lambda: value(modbus, 37001, 2, I32, 1) == 0, "the battery rests")


def test_rewriting_the_command_keeps_it_alive(modbus: ModbusTcpClient) -> None:
    force(modbus, 1, 1000, minutes=2)
    for _ in range(3):
        until(lambda: value(modbus, 37025, 1, U16, 1) == 1, "a minute passes")
        modbus.write_register(47100, 1)
        assert value(modbus, 37025, 1, U16, 1) == 2


def test_a_forced_charge_without_grid_charging_takes_only_pv(
    modbus: ModbusTcpClient, control: SimulatorClient
) -> None:
    modbus.write_register(47087, 0)
    control.set_state("d1", pv_w=400)
    force(modbus, 1, 3000)
    until(lambda: value(modbus, 37001, 2, I32, 1) == 400, "only PV charges")


def read_frame(transaction: int, address: int, count: int, unit: int = 1) -> bytes:
    return struct.pack(">HHHBBHH", transaction, 0, 6, unit, 3, address, count)


def is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def received(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (more := connection.recv(4096)):
        data += more
    return data


def test_requests_in_one_segment_or_cut_in_pieces_are_all_answered_in_order(site: Ready) -> None:
    with socket.create_connection(("127.0.0.1", site.devices[0].port), timeout=2) as connection:
        frames = b"".join(read_frame(number, 37004, 1) for number in range(40))
        connection.sendall(frames[:-5])
        answers = received(connection, 39 * 11)
        connection.sendall(frames[-5:])
        answers += received(connection, 11)
    assert [answers[i : i + 2] for i in range(0, len(answers), 11)] == [
        number.to_bytes(2, "big") for number in range(40)
    ]


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\0\1\0\0\0\0\1", b"\xff" * 4000])
def test_garbage_ends_only_the_connection_that_sent_it(
    site: Ready, modbus: ModbusTcpClient, garbage: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", site.devices[0].port), timeout=2) as connection:
        connection.sendall(garbage)
        assert is_closed(connection)
    assert not modbus.read_holding_registers(37004, count=1).isError()


@pytest.mark.parametrize(
    "pdu",
    [
        struct.pack(">BHH", 3, 37004, 0),
        struct.pack(">BHH", 3, 37000, 126),
        struct.pack(">BHHBH", 16, 47083, 1, 4, 5),
        struct.pack(">BHHB", 16, 47083, 0, 0),
    ],
)
def test_a_request_whose_lengths_do_not_fit_answers_exception_3(site: Ready, pdu: bytes) -> None:
    with socket.create_connection(("127.0.0.1", site.devices[0].port), timeout=2) as connection:
        connection.sendall(struct.pack(">HHHB", 7, 0, len(pdu) + 1, 1) + pdu)
        assert received(connection, 9)[7:] == bytes((pdu[0] | 0x80, 3))


def test_an_unknown_function_and_a_cut_body_answer_an_exception(site: Ready) -> None:
    with socket.create_connection(("127.0.0.1", site.devices[0].port), timeout=2) as connection:
        for body in (b"\x01\x42\x24\x00", b"\x01\x03\x90", b"\x01\x06\xb8"):
            connection.sendall(b"\0\7\0\0" + len(body).to_bytes(2, "big") + body)
            answer = received(connection, 9)
            assert answer[:2] == b"\0\7"
            assert answer[7] & 0x80
