"""What is published, what is documented of it, and what BigQuery is told of it, are one."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import sqlglot
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from hypothesis import given
from hypothesis import strategies as st

from actors.messages import AnomalyScore, DeviceSchema, PointInfo, Ruling, SafetyEvent, Sample
from actors.publisher.command_answer import CommandAnswer, encode_command_answer
from actors.publisher.encode import (
    RECORD_VERSION,
    encode_anomaly,
    encode_lifecycle,
    encode_safety_event,
    encode_sample,
)
from actors.publisher.record import Record
from bessai.config import data_directory
from supervision.events import Lifecycle, What

SCHEMAS = data_directory() / "schemas"
SCHEMA: dict[str, Any] = json.loads((SCHEMAS / "message.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
DOCS = Path(__file__).parents[2] / "docs"
DEVICE = DeviceSchema(
    device_id="b1",
    schema_id=1,
    points=(PointInfo("soc_pct", "%"), PointInfo("battery_power_w", "W")),
)


def _sample(*values: float | None, quality: bytes = b"") -> Record:
    sample = Sample(
        device_id="b1",
        schema_id=1,
        seq=7,
        epoch=1 << 40,
        wall_ns=1_795_622_400_000_000_001,
        mono_ns=1,
        values=values,
        quality=quality,
    )
    return encode_sample(sample, DEVICE, "SITE")


def _anomaly(z_max: float | None) -> Record:
    score = AnomalyScore(
        device_id="b1",
        seq=7,
        mono_ns=1,
        wall_ns=1,
        z_max=z_max,
        z_point="soc_pct",
        forest_score=None,
        anomalous=True,
    )
    return encode_anomaly(score, 3, "SITE")


EVENT = SafetyEvent(device_id="b1", kind="began", rule="r", detail="d", wall_ns=1, mono_ns=1)
ANSWER = CommandAnswer(device_id="b1", ruling=Ruling.CLAMPED.value, power_w=-5.0)
MESSAGES = {
    "sample": _sample(50.0, None, quality=b"\x01\x03"),
    "good sample": _sample(50.0, -1200.0),
    "safety_event": encode_safety_event(EVENT, 3, "SITE"),
    "anomaly": _anomaly(9.5),
    "unsure anomaly": _anomaly(None),
    "lifecycle": encode_lifecycle(Lifecycle(cell="api", what=What.CRASHED, wall_ns=1), "SITE"),
    "command_answer": encode_command_answer(ANSWER, "SITE", wall_ns=1),
    "answer about nothing": encode_command_answer(CommandAnswer(), "SITE", wall_ns=1),
}


@pytest.fixture(scope="module")
def message_class(tmp_path_factory: pytest.TempPathFactory) -> Any:
    out = tmp_path_factory.mktemp("proto") / "set"
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{SCHEMAS}", f"-o{out}"]
    subprocess.run([*command, "message.proto"], check=True)
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file:
        pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("bessai.v2.Message"))


@pytest.mark.parametrize("name", MESSAGES)
def test_each_message_is_valid(name: str) -> None:
    VALIDATOR.validate(json.loads(MESSAGES[name].body))


@pytest.mark.parametrize("name", MESSAGES)
def test_the_schema_describes_every_field(name: str) -> None:
    body = json.loads(MESSAGES[name].body)
    described = SCHEMA["properties"] | SCHEMA["$defs"][body["kind"]]["properties"]

    assert set(body) <= set(described)


@pytest.mark.parametrize("name", MESSAGES)
def test_each_message_is_json_of_the_protobuf_form(name: str, message_class: Any) -> None:
    body = json.loads(MESSAGES[name].body)
    parsed = json_format.ParseDict(body, message_class())  # refuses what it does not know

    again = json_format.MessageToDict(parsed, preserving_proto_field_name=True)
    assert again["dedupe_id"] == body["dedupe_id"]
    assert int(again["wall_ns"]) == body["wall_ns"]
    assert again.get("values", {}) == body.get("values", {})


@given(
    st.lists(st.one_of(st.none(), st.floats()), min_size=2, max_size=2),
    st.lists(st.integers(0, 3), min_size=2, max_size=2),
)
def test_whatever_a_device_says_is_a_valid_message_in_which_each_point_is_told(
    values: list[float | None], quality: list[int]
) -> None:
    body = json.loads(_sample(*values, quality=bytes(quality)).body)

    VALIDATOR.validate(body)
    assert set(body["values"]) | set(body.get("quality", {})) == {"soc_pct", "battery_power_w"}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("v", 1),
        ("kind", "rumour"),
        ("wall", "yesterday"),
        ("values", {"soc_pct": None}),
        ("quality", {"soc_pct": "good"}),
        ("epoch", "3"),
    ],
)
def test_another_form_is_not_valid(key: str, value: object) -> None:
    body = json.loads(MESSAGES["sample"].body) | {key: value}

    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(body)


def test_the_schema_is_one_and_of_this_version() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["properties"]["v"]["const"] == RECORD_VERSION


def test_the_documented_example_is_valid() -> None:
    text = (DOCS / "message-schema.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```json\n(.*?)```", text, flags=re.DOTALL)

    VALIDATOR.validate(json.loads(example))


def test_the_statements_for_bigquery_are_its_sql_and_name_fields_that_exist() -> None:
    text = (DOCS / "bigquery.md").read_text(encoding="utf-8")
    statements = re.findall(r"```sql\n(.*?)```", text, flags=re.DOTALL)
    kinds = SCHEMA["$defs"].values()
    known = set(SCHEMA["properties"]).union(*(kind.get("properties", {}) for kind in kinds))

    assert len(statements) == 5
    for statement in statements:
        sqlglot.parse_one(statement, dialect="bigquery")
        assert set(re.findall(r"\bdata\.(\w+)", statement)) <= known
