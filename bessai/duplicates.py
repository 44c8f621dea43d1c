"""Devices of a configuration that are the same one twice."""

from __future__ import annotations

from typing import Any

from bessai.judge import Judge, shown


def refuse_duplicates(judge: Judge, devices: list[dict[str, Any]]) -> None:
    """Have `judge` note every device whose id or address another one has already."""
    ids: dict[object, int] = {}
    places: dict[object, int] = {}
    for index, device in enumerate(devices):
        first = ids.setdefault(repr(device.get("id", index)), index)
        if first < index:
            what = f"{shown(device['id'])} is taken by devices[{first}]: ids must differ"
            judge.fault(f"devices[{index}].id", what)
        host, port, unit = (device.get(key) for key in ("host", "port", "unit_id"))
        place = f"{host}:{502 if port is None else port} unit {1 if unit is None else unit}"
        first = places.setdefault(place.lower(), index) if host else index
        if first < index:
            what = f"{place} is the address of devices[{first}] already"
            judge.fault(f"devices[{index}].host", what)
