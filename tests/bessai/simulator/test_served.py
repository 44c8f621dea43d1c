"""What a client meets on the socket of a device with faults and manners, and what the record says of it."""

import hashlib
import hmac
import socket
import struct
import time
from pathlib import Path

import pytest
from pymodbus.client import ModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu.mei_message import ReadDeviceInformationResponse

from bessai.simulator.behaviour import MAX_WAITING
from bessai.simulator.control import SimulatorClient
from bessai.simulator.director import FOREIGN
from bessai.simulator.kinds import DeviceKind
from bessai.simulator.login import Account
from bessai.simulator.site import Ready
from bessai.simulator.sunspec_device import LEGACY
from bessai.simulator.sunspec_map import chain
from bessai.testing import SimulatedSite, wait_for
from tests.bessai.simulator.simulated import until

SOC = 37004
EARLY_S = 0.005
"""An event loop's timer may be early by its resolution."""


def read_frame(transaction: int, address: int, count: int = 1) -> bytes:
    return struct.pack(">HHHBBHH", transaction, 0, 6, 1, 3, address, count)


def write_frame(address: int, word: int) -> bytes:
    return struct.pack(">HHHBBHH", 9, 0, 6, 1, 6, address, word)


def connected(site: Ready, timeout_s: float = 2.0) -> socket.socket:
    return socket.create_connection(("127.0.0.1", site.devices[0].port), timeout=timeout_s)


def is_over(connection: socket.socket) -> bool:
    try:
        return connection.recv(100) == b""
    except ConnectionResetError:
        return True


def test_a_reset_comes_after_half_an_answer(site: Ready, control: SimulatorClient) -> None:
    control.fault("d1", "reset")
    with connected(site) as connection:
        connection.sendall(read_frame(1, SOC))
        assert connection.recv(100) == b"\0\1\0\0\0"
        with pytest.raises(ConnectionResetError):
            connection.recv(100)


def test_answers_are_merged_into_one_segment(site: Ready, control: SimulatorClient) -> None:
    control.fault("d1", "merged", delay_s=1.0)
    with connected(site) as connection:
        connection.sendall(read_frame(1, SOC) + read_frame(2, SOC))
        assert len(connection.recv(100)) == 22


def test_an_old_connection_is_half_open_and_a_new_one_works(
    site: Ready, control: SimulatorClient
) -> None:
    with connected(site, timeout_s=0.1) as old:
        old.sendall(read_frame(1, SOC))
        assert old.recv(100)
        control.fault("d1", "half_open")
        old.sendall(read_frame(2, SOC))
        with pytest.raises(TimeoutError):
            old.recv(100)
        with connected(site) as new:
            new.sendall(read_frame(3, SOC))
            assert new.recv(100)[:2] == b"\0\3"


def test_a_write_that_a_slow_device_has_begun_is_carried_out_though_its_client_has_left(
    site: Ready, control: SimulatorClient
) -> None:
    since = len(control.writes("d1"))
    control.fault("d1", "slow", delay_s=0.2)
    with connected(site) as connection:
        before_ns = time.monotonic_ns()
        connection.sendall(write_frame(47083, 7) + write_frame(47083, 8))
        sent_ns = time.monotonic_ns()
        for _ in range(
            2
        ):  # by the second answer on another socket, the device has looked at this one
            control.truth("d1")
    until(lambda: len(control.writes("d1")) == since + 2, "both writes are recorded")
    told = {each.values["forced_period_min"]: each for each in control.writes("d1", since)}
    assert told[7].result == "ok"
    assert told[8].result == "unanswered"
    assert all(before_ns < each.mono_ns < sent_ns + 50_000_000 for each in told.values())
    with ModbusTcpClient("127.0.0.1", port=site.devices[0].port, retries=0) as client:
        assert client.read_holding_registers(47083, count=1).registers == [7]


def test_a_client_that_asks_too_much_of_a_slow_device_is_closed(
    site: Ready, control: SimulatorClient
) -> None:
    since = len(control.writes("d1"))
    control.fault("d1", "slow", delay_s=0.5)
    with connected(site) as connection:
        connection.sendall(write_frame(47083, 7) * (MAX_WAITING + 2))
        assert is_over(connection)
    until(lambda: len(control.writes("d1", since)) == MAX_WAITING + 2, "every one is recorded")
    assert [each.result for each in control.writes("d1", since)].count("ok") == 1


def test_a_foreign_master_writes_and_the_record_says_so(
    control: SimulatorClient, modbus: ModbusTcpClient
) -> None:
    since = len(control.writes("d1"))
    control.add_fault("d1", "foreign_writes", register="forced_period_min", value=33, every_s=0.05)
    until(lambda: len(control.writes("d1", since)) >= 2, "it writes again and again")
    control.end_fault("d1")
    writes = control.writes("d1", since)
    assert {(each.client, each.result) for each in writes} == {(FOREIGN, "ok")}
    assert modbus.read_holding_registers(47083, count=1).registers == [33]


def test_a_bent_register_shows_no_change_of_the_truth(
    control: SimulatorClient, modbus: ModbusTcpClient
) -> None:
    control.fault("d1", "spoofed", register="esu1_soc_pct", value=77.0)
    index = control.set_state("d1", soc_pct=11)
    assert modbus.read_holding_registers(SOC, count=1).registers == [770]
    assert control.exposures("d1", index)[0].first_mono_ns is None
    control.end_fault("d1")
    assert modbus.read_holding_registers(SOC, count=1).registers == [110]
    assert set(control.exposures("d1", index)[0].registers) == {"esu1_soc_pct"}


@pytest.mark.parametrize("kind", ["truncated", "garbage", "wrong_transaction", "wrong_length"])
def test_a_spoiled_answer_shows_nothing(site: Ready, control: SimulatorClient, kind: str) -> None:
    control.fault("d1", kind)
    index = control.set_state("d1", soc_pct=11)
    with connected(site) as connection:
        connection.sendall(read_frame(1, SOC, 2))
        assert connection.recv(100)
    assert control.exposures("d1", index)[0].first_mono_ns is None


@pytest.mark.parametrize("kind", ["split", "merged", "duplicated", "slow"])
def test_an_answer_that_arrives_whole_shows_what_is_in_it(
    site: Ready, control: SimulatorClient, kind: str
) -> None:
    control.fault("d1", kind, delay_s=0.02)
    index = control.set_state("d1", soc_pct=11)
    with connected(site) as connection:
        connection.sendall(read_frame(1, SOC))
        assert connection.recv(100)
        until(lambda: bool(control.exposures("d1", index)[0].registers), "it is shown")


def test_the_newest_client_has_the_older_one_closed(site: Ready, control: SimulatorClient) -> None:
    control.manners("d1", clients="newest")
    with connected(site) as old, connected(site) as new:
        assert is_over(old)
        new.sendall(read_frame(1, SOC))
        assert new.recv(100)


def test_the_oldest_client_has_newer_ones_closed(site: Ready, control: SimulatorClient) -> None:
    control.manners("d1", clients="oldest")
    with connected(site) as old, connected(site) as new:
        assert is_over(new)
        old.sendall(read_frame(1, SOC))
        assert old.recv(100)


def test_a_request_right_after_the_connect_is_swallowed(
    site: Ready, control: SimulatorClient
) -> None:
    control.manners("d1", settle_s=0.1)
    with connected(site, timeout_s=0.03) as connection:
        opened_s = time.monotonic()
        until(lambda: answers(connection), "a later request is answered")
        assert time.monotonic() - opened_s >= 0.1 - EARLY_S


def answers(connection: socket.socket) -> bool:
    connection.sendall(read_frame(1, SOC))
    try:
        return bool(connection.recv(100))
    except TimeoutError:
        return False


def exchanged(connection: socket.socket, pdu: bytes) -> bytes:
    connection.sendall(struct.pack(">HHHB", 7, 0, len(pdu) + 1, 1) + pdu)
    return connection.recv(300)[7:]


def log_in(connection: socket.socket) -> bytes:
    account = Account()
    challenge = exchanged(connection, b"\x41\x24\x01\x00")[3:19]
    key = hashlib.sha256(account.password.encode()).digest()
    proof = hmac.new(key, challenge, hashlib.sha256).digest()
    content = bytes(16) + bytes([len(account.user)]) + account.user.encode() + b"\x20" + proof
    return exchanged(connection, b"\x41\x25" + bytes([len(content)]) + content)


def test_a_device_that_wants_a_login_takes_settings_only_after_it(
    site: Ready, control: SimulatorClient
) -> None:
    control.manners("d1", login=True)
    setting = struct.pack(">BHH", 6, 47083, 5)
    with connected(site) as connection, connected(site) as other:
        assert exchanged(connection, setting) == b"\x86\x80"
        assert exchanged(connection, struct.pack(">BHH", 6, 49999, 1)) == b"\x86\x80"
        assert log_in(connection)[3] == 0
        assert exchanged(connection, setting) == setting
        assert exchanged(connection, struct.pack(">BHH", 6, 49999, 1))[0] == 6
        assert exchanged(other, setting) == b"\x86\x80", "a session is one connection's"


def test_the_device_names_itself_to_pymodbus(modbus: ModbusTcpClient) -> None:
    listed = modbus.read_device_information(read_code=3, object_id=0x87)
    basic = modbus.read_device_information(read_code=1)
    assert isinstance(listed, ReadDeviceInformationResponse)
    assert isinstance(basic, ReadDeviceInformationResponse)
    assert listed.information[0x87] == b"\x01"
    assert b"1=SUN2000-10KTL-M1;" in listed.information[0x88]
    assert basic.information[0] == b"HUAWEI"


def test_a_client_that_reads_no_answers_stops_being_read(
    site: Ready, modbus: ModbusTcpClient
) -> None:
    with connected(site, timeout_s=0.3) as glutton:
        glutton.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with pytest.raises(TimeoutError):
            flood(glutton)
        wait_for("an answer to somebody else", lambda: is_served(modbus), timeout_s=30.0)


def is_served(client: ModbusTcpClient) -> bool:
    try:
        return not client.read_holding_registers(SOC, count=1).isError()
    except ModbusException:
        return False


def flood(connection: socket.socket) -> None:
    while True:
        connection.sendall(read_frame(1, 32016, 100) * 1000)


def test_a_hanging_device_answers_nobody_and_forgets(site: Ready, control: SimulatorClient) -> None:
    control.fault("d1", "hang")
    with ModbusTcpClient("127.0.0.1", port=site.devices[0].port, timeout=0.1, retries=0) as client:
        with pytest.raises(ModbusException):
            client.read_holding_registers(SOC, count=1)
        control.end_fault("d1", "hang")
        assert client.read_holding_registers(SOC, count=1).registers


def test_a_device_that_refuses_keeps_its_port(site: Ready, control: SimulatorClient) -> None:
    control.fault("d1", "refuse")
    address = ("127.0.0.1", site.devices[0].port)
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(address)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)


def test_faults_of_a_sunspec_device_bend_its_points_and_it_knows_no_login(tmp_path: Path) -> None:
    soc = next(point for point in chain(LEGACY).points if point.name == "802.SoC")
    with SimulatedSite(tmp_path, devices=1, kind=DeviceKind.SUNSPEC) as sunspec:
        sunspec.client.add_fault("d1", "spoofed", register="soc_pct", value=33.5)
        with connected(sunspec.ready) as connection:
            answer = exchanged(connection, struct.pack(">BHH", 3, soc.address, 1))
            assert soc.decode([int.from_bytes(answer[2:4], "big")]) == 33.5
            assert exchanged(connection, b"\x41\x24\x01\x00") == b"\xc1\x01"
            assert exchanged(connection, b"\x2b\x0e\x01\x00") == b"\xab\x01"
            sunspec.client.end_fault("d1", "spoofed")
            answer = exchanged(connection, struct.pack(">BHH", 3, soc.address, 1))
            assert soc.decode([int.from_bytes(answer[2:4], "big")]) == 50.0
