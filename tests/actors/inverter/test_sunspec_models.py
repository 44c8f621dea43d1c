"""The extract of SunSpec's models against the definitions that it was taken from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest

from actors.inverter.sunspec_models import INVERTERS, ModelGroup, known_models, layout
from bessai.simulator import sunspec_extract


def definition(model: int) -> dict[str, Any]:
    path = distribution("pysunspec2").locate_file(f"sunspec2/models/json/model_{model}.json")
    group: dict[str, Any] = json.loads(Path(str(path)).read_text())["group"]
    return group


def defined(group: dict[str, Any]) -> Iterator[tuple[object, ...]]:
    for point in group["points"]:
        symbols = {each["name"]: each["value"] for each in point.get("symbols", [])}
        yield (
            point["name"],
            point["type"],
            point["size"],
            point.get("sf", ""),
            point.get("units", "").strip(),
            point.get("access") == "RW",
            point.get("mandatory") == "M",
            symbols,
        )
    for inner in group.get("groups", []):
        yield inner["name"], "count" in inner
        yield from defined(inner)


def extracted(group: ModelGroup) -> Iterator[tuple[object, ...]]:
    for point in group.points:
        yield (
            point.name,
            point.type,
            point.size,
            point.sf,
            point.units,
            point.writable,
            point.mandatory,
            point.symbols,
        )
    for inner in group.groups:
        yield inner.name, inner.repeated
        yield from extracted(inner)


@pytest.mark.parametrize("model", sorted(known_models()))
def test_a_model_in_the_extract_is_the_definition(model: int) -> None:
    assert list(extracted(known_models()[model])) == list(defined(definition(model)))


@pytest.mark.parametrize("target", sunspec_extract.TARGETS, ids=lambda path: path.parent.name)
def test_the_extract_is_what_the_generator_makes(target: Path) -> None:
    assert target.read_bytes() == sunspec_extract.extract()


@pytest.mark.parametrize(
    ("model", "words"),
    [
        *((1, 68), (101, 52), (103, 52), (111, 62), (113, 62), (120, 28), (121, 32)),
        *((123, 26), (124, 26), (160, 10), (701, 155), (702, 52), (713, 9), (802, 64), (803, 28)),
    ],
)
def test_a_model_has_as_many_words_as_devices_send(model: int, words: int) -> None:
    assert known_models()[model].size == words


def test_a_scale_factor_is_a_point_of_its_model() -> None:
    for model in known_models().values():
        placed = layout(model, 200)
        names = {each.path for each in placed}
        assert {each.point.sf for each in placed} - {""} <= names


def test_modules_are_as_many_as_the_length_has_room_for() -> None:
    paths = [each.path for each in layout(known_models()[160], 8 + 3 * 20)]
    assert "module.3.DCEvt" in paths
    assert not any(path.startswith("module.4") for path in paths)


def test_points_beyond_the_length_that_a_device_tells_are_left_out() -> None:
    whole = layout(known_models()[1], 66)
    short = layout(known_models()[1], 65)
    assert [each.path for each in whole if each not in short] == ["Pad"]


def test_every_way_to_report_an_inverter_is_known() -> None:
    assert set(INVERTERS) <= set(known_models())
