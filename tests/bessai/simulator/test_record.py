"""What is recorded stays countable when it no longer fits."""

from pathlib import Path

import msgspec

from bessai.simulator.device import DeviceConfig, SimulatedDevice
from bessai.simulator.record import Log, RecordFiles, TruthRecord


def truths(count: int) -> list[TruthRecord]:
    device = SimulatedDevice("d1", DeviceConfig())
    return [msgspec.structs.replace(device.truth(), index=index) for index in range(count)]


def test_a_full_log_drops_the_oldest_and_counts_them() -> None:
    log: Log[TruthRecord] = Log(keep=3)
    for record in truths(5):
        log.append(record)
    assert log.dropped == 2
    assert [record.index for record in log.since(0)] == [2, 3, 4]
    assert [record.index for record in log.since(4)] == [4]
    assert log.since(5) == []


def test_files_hold_each_record_once_and_keep_what_was_there(tmp_path: Path) -> None:
    device = SimulatedDevice("d1", DeviceConfig())
    for _ in range(2):
        files = RecordFiles(tmp_path / "record")
        device.record.truths.append(device.truth())
        files.take("d1", device.record)
        files.take("d1", device.record)
        files.close()
    lines = (tmp_path / "record" / "truth.jsonl").read_bytes().splitlines()
    assert [msgspec.json.decode(line)["index"] for line in lines] == [0, 0, 1]
