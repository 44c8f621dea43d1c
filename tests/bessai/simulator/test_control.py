"""The control channel: truth, spoofs, faults, exposures and the record of writes."""

import socket
import time

import pytest
from pymodbus.client import ModbusTcpClient
from pymodbus.exceptions import ModbusException

from bessai.simulator.control import SimulatorClient, SimulatorError
from bessai.simulator.site import Ready


def test_devices_are_listed_with_their_ports(site: Ready, control: SimulatorClient) -> None:
    listed = [(each.name, each.port, each.unit) for each in control.devices()]
    assert listed == [(each.name, each.port, each.unit) for each in site.devices]
    assert control.truth(site.devices[1].port).device == "d2"


def test_every_write_is_recorded_with_its_answer_and_its_arrival(
    modbus: ModbusTcpClient, control: SimulatorClient
) -> None:
    since = len(control.writes("d1"))
    before_ns = time.monotonic_ns()
    modbus.write_registers(47247, [0, 1234])
    after_ns = time.monotonic_ns()
    modbus.write_register(47100, 9)
    modbus.write_register(47100, 0, device_id=7)
    accepted, refused, other = control.writes("d1", since)
    assert (accepted.address, accepted.words, accepted.function) == (47247, [0, 1234], 16)
    assert accepted.values == {"forced_charge_power_w": 1234}
    assert before_ns < accepted.mono_ns < after_ns
    assert [each.result for each in (accepted, refused, other)] == [
        "ok",
        "exception 3",
        "exception 11",
    ]
    assert other.unit == 7


def test_set_state_is_seen_at_once_and_its_exposure_is_stamped(
    modbus: ModbusTcpClient, control: SimulatorClient
) -> None:
    index = control.set_state("d1", soc_pct=3)
    assert control.exposures("d1", index)[0].first_mono_ns is None
    before_ns = time.monotonic_ns()
    assert modbus.read_holding_registers(37004, count=1).registers == [30]
    after_ns = time.monotonic_ns()
    exposure = control.exposures("d1", index)[0]
    assert exposure.first_mono_ns is not None
    assert exposure.set_mono_ns < before_ns < exposure.first_mono_ns < after_ns
    assert set(exposure.registers) == {"esu1_soc_pct"}


def test_a_spoof_changes_the_report_and_not_the_truth(
    modbus: ModbusTcpClient, control: SimulatorClient
) -> None:
    control.override("d1", "battery_temperature_c", 61.5)
    assert modbus.read_holding_registers(37022, count=1).registers == [615]
    assert modbus.read_holding_registers(38452, count=2).registers == [615, 615]
    assert control.truth("d1").temperature_c < 30
    control.clear("d1", "battery_temperature_c")
    assert modbus.read_holding_registers(37022, count=1).registers == [250]


def test_invalid_marks_and_raw_words_can_be_spoofed(
    modbus: ModbusTcpClient, control: SimulatorClient
) -> None:
    control.override("d1", "soc_pct", None)
    control.override_words("d1", 32008, [0x8001])
    control.override("d1", "model", "OTHER-MODEL")
    assert modbus.read_holding_registers(37760, count=1).registers == [0xFFFF]
    assert modbus.read_holding_registers(32008, count=1).registers == [0x8001]
    assert modbus.read_holding_registers(30000, count=2).registers == [0x4F54, 0x4845]
    control.clear("d1")
    assert modbus.read_holding_registers(30000, count=2).registers == [0x5355, 0x4E32]


def test_alarm_words_can_be_set(modbus: ModbusTcpClient, control: SimulatorClient) -> None:
    control.set_state("d1", alarm_1=0x80)
    assert modbus.read_holding_registers(32008, count=3).registers == [0x80, 0, 0]


def test_a_hanging_device_records_writes_it_does_not_answer(
    site: Ready, control: SimulatorClient
) -> None:
    since = len(control.writes("d1"))
    control.fault("d1", "hang")
    with ModbusTcpClient("127.0.0.1", port=site.devices[0].port, timeout=0.2, retries=0) as client:
        with pytest.raises(ModbusException):
            client.write_register(47087, 0)
        control.end_fault("d1")
        assert client.read_holding_registers(47087, count=1).registers == [1]
    assert [each.result for each in control.writes("d1", since)] == ["unanswered"]


def test_a_refusing_device_is_gone_and_comes_back_on_its_port(
    site: Ready, control: SimulatorClient, modbus: ModbusTcpClient
) -> None:
    address = ("127.0.0.1", site.devices[0].port)
    assert not modbus.read_holding_registers(37004, count=1).isError()
    control.fault("d1", "refuse")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
    control.end_fault("d1")
    with ModbusTcpClient(address[0], port=address[1], retries=0) as client:
        assert not client.read_holding_registers(37004, count=1).isError()


def test_a_closing_device_drops_the_connection_on_a_request(
    control: SimulatorClient, modbus: ModbusTcpClient
) -> None:
    control.fault("d1", "close")
    with pytest.raises(ModbusException):
        modbus.read_holding_registers(37004, count=1)


def test_a_slow_device_answers_late(control: SimulatorClient, modbus: ModbusTcpClient) -> None:
    control.fault("d1", "slow", delay_s=0.1)
    early_s = 0.005  # an event loop's timer may be early by its resolution
    start_s = time.monotonic()
    assert not modbus.read_holding_registers(37004, count=1).isError()
    assert time.monotonic() - start_s >= 0.1 - early_s


def test_an_exception_fault_may_touch_only_writes_and_carry_the_vendors_code(
    control: SimulatorClient, modbus: ModbusTcpClient
) -> None:
    control.fault("d1", "exception", code=0x80, scope="writes")
    assert modbus.write_register(47087, 0).exception_code == 0x80
    assert modbus.read_holding_registers(47087, count=1).registers == [1]


def test_ignored_writes_are_answered_and_not_carried_out(
    control: SimulatorClient, modbus: ModbusTcpClient
) -> None:
    control.fault("d1", "ignore_writes")
    assert not modbus.write_register(47087, 0).isError()
    assert not modbus.write_registers(47087, [0]).isError()
    assert modbus.read_holding_registers(47087, count=1).registers == [1]


def test_faults_begin_and_end_by_name_and_the_devices_tell_them(control: SimulatorClient) -> None:
    assert control.add_fault("d1", "slow", name="a", delay_s=0.01) == "a"
    assert control.add_fault("d1", "stuck", register="soc_pct") == "stuck"
    first, second = control.devices()
    assert [(name, fault.kind.value) for name, fault in first.faults.items()] == [
        ("a", "slow"),
        ("stuck", "stuck"),
    ]
    assert not second.faults
    control.end_fault("d1", "a")
    assert list(control.devices()[0].faults) == ["stuck"]
    control.fault("d1", "busy")
    assert list(control.devices()[0].faults) == ["busy"]
    control.end_fault("d1")
    assert not control.devices()[0].faults


def test_a_refused_fault_leaves_the_present_ones(control: SimulatorClient) -> None:
    control.add_fault("d1", "slow")
    with pytest.raises(SimulatorError, match="unknown register name"):
        control.fault("d1", "stuck", register="nothing")
    assert list(control.devices()[0].faults) == ["slow"]


def test_manners_are_a_preset_with_changes(control: SimulatorClient) -> None:
    control.manners("d1", "sdongle", settle_s=2.5)
    told = control.devices()[0].manners
    assert (told.settle_s, told.latency_s, told.clients.value) == (2.5, (0.3, 1.3), "newest")


def test_one_devices_fault_is_not_anothers(site: Ready, control: SimulatorClient) -> None:
    control.fault("d1", "refuse")
    with ModbusTcpClient("127.0.0.1", port=site.devices[1].port, retries=0) as client:
        assert not client.read_holding_registers(37004, count=1).isError()


@pytest.mark.parametrize(
    ("op", "parameters", "said"),
    [
        ("sett", {}, r"unknown op 'sett'; valid: devices"),
        ("truth", {"device": "d9"}, r"unknown device 'd9'; valid: d1 \(port"),
        ("set", {"device": "d1", "values": {"soc": 1}}, "unknown state 'soc'; valid: soc_pct"),
        ("set", {"device": "d1", "values": {"soc_pct": "x"}}, "Expected `float`"),
        ("set", {"device": "d1", "values": {"soc_pct": 101}}, "must be 0 to 100"),
        ("set", {"device": "d1"}, "values|Expected"),
        ("override", {"device": "d1", "name": "soc", "value": 1}, "unknown register name 'soc'"),
        ("override", {"device": "d1", "name": "soc_pct"}, "override needs"),
        ("override", {"device": "d1", "name": "soc_pct", "value": [1]}, "must be a number"),
        ("override", {"device": "d1", "address": 37024, "words": [1]}, "37024 is a hole"),
        ("fault", {"device": "d1", "kind": "hung"}, "unknown fault 'hung'; valid: hang,"),
        ("fault", {"device": "d1"}, 'fault needs "kind"; valid: hang,'),
        ("fault", {"device": "d1", "kind": "slow", "delay": 1}, "no parameter 'delay'; valid: sc"),
        ("fault", {"device": "d1", "kind": "slow", "name": "a"}, "no parameter 'name'"),
        ("fault", {"device": "d1", "kind": "slow", "delay_s": -1}, "delay_s=-1"),
        ("add_fault", {"device": "d1", "kind": "stuck"}, "needs the parameter 'register'"),
        ("add_fault", {"device": "d1", "kind": "stuck", "register": "x"}, "'x'; valid: soc_pct"),
        (
            "add_fault",
            {"device": "d1", "kind": "foreign_writes", "register": "soc_pct", "value": 1},
            "esu1_soc_pct cannot be written; name a control register",
        ),
        (
            "add_fault",
            {"device": "d1", "kind": "foreign_writes", "register": "forced_mode", "value": 1e6},
            "does not fit register 47100",
        ),
        ("end_fault", {"device": "d1", "name": "hang"}, "no fault 'hang'; present: none"),
        ("manners", {"device": "d1", "preset": "dongle"}, "preset 'dongle'; valid: none, direct"),
        ("manners", {"device": "d1", "gap": 1}, "unknown field `gap`"),
    ],
)
def test_a_wrong_request_is_told_what_is_valid(
    control: SimulatorClient, op: str, parameters: dict[str, object], said: str
) -> None:
    with pytest.raises(SimulatorError, match=said):
        control.request(op, **parameters)


def test_a_line_that_is_not_json_is_answered_and_the_channel_goes_on(site: Ready) -> None:
    with socket.create_connection((site.control_host, site.control_port), timeout=2) as raw:
        lines = raw.makefile("rb")
        raw.sendall(b'nonsense\n{"op": "devices"}\n')
        assert b"not a JSON object" in lines.readline()
        assert b'"ok":true' in lines.readline()
        lines.close()


def test_truths_are_recorded_at_one_hertz(control: SimulatorClient) -> None:
    truths = control.truths("d2")
    assert truths
    assert [each.index for each in truths] == list(range(len(truths)))
