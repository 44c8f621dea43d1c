from __future__ import annotations

from structlog.testing import capture_logs

from actors.inverter.device_log import SILENCE_NS, DeviceLog
from actors.messages import SafeCommand, WriteReport, WriteResult


def safe(rule: str) -> SafeCommand:
    return SafeCommand(device_id="d1", seq=1, rule=rule, reason="2.0 %, limit below 5 %")


def report(result: WriteResult) -> WriteReport:
    return WriteReport(
        device_id="d1", seq=1, safe=True, result=result, power_w=0.0, detail="reads 2"
    )


def test_a_safe_command_is_told_with_its_rule_once_in_a_while() -> None:
    with capture_logs() as logs:
        log = DeviceLog("d1")
        for rule, now_ns in (("soc_min", 5), ("soc_min", 6), ("trip_hot", 7)):
            log.command(safe(rule), now_ns)
        log.command(safe("soc_min"), 5 + SILENCE_NS)
    assert [(each["device"], each["rule"]) for each in logs] == [
        ("d1", "soc_min"),
        ("d1", "trip_hot"),
        ("d1", "soc_min"),
    ]


def test_only_a_command_without_success_is_told() -> None:
    with capture_logs() as logs:
        log = DeviceLog("d1")
        for result in (WriteResult.VERIFIED, WriteResult.UNVERIFIED, WriteResult.UNVERIFIED):
            log.outcome(report(result), 5)
    assert [(each["event"], each["result"], each["reason"]) for each in logs] == [
        ("command not verified", "unverified", "reads 2")
    ]
