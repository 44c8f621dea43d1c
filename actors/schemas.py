"""What the values of samples mean: the schemas heard so far, and whom to ask for one that is missing."""

from __future__ import annotations

from typing import Final

from actors.messages import DeviceSchema, Quality, Sample

ASK_EVERY_S: Final = 1.0
"""A device is asked for its schema at most this often."""


class SchemaBook:
    """The newest schema of each device."""

    def __init__(self) -> None:
        self._schemas: dict[str, DeviceSchema] = {}
        self._asked_s: dict[str, float] = {}

    def learn(self, schema: DeviceSchema) -> bool:
        """Remember `schema`; return whether it differs from what was known."""
        known = self._schemas.get(schema.device_id)
        self._schemas[schema.device_id] = schema
        return known != schema

    def schema_of(self, sample: Sample) -> DeviceSchema | None:
        """Return the schema that explains `sample`, or None if it is unknown or does not fit."""
        schema = self._schemas.get(sample.device_id)
        fits = (
            schema is not None
            and schema.schema_id == sample.schema_id
            and len(schema.points) == len(sample.values)
            and len(sample.quality) in {0, len(sample.values)}
        )
        return schema if fits else None

    def should_ask(self, device_id: str, now_s: float) -> bool:
        """Return whether it is time to ask for the schema of `device_id`, and count that as asked."""
        due = now_s - self._asked_s.get(device_id, float("-inf")) >= ASK_EVERY_S
        if due:
            self._asked_s[device_id] = now_s
        return due


def good_values(schema: DeviceSchema, sample: Sample) -> dict[str, float]:
    """Return the values of `sample` that may be trusted, by point name, in the schema's units.

    Whatever is None, not finite, stale, invalid or missing is left out.
    """
    return {
        point.name: value
        for index, (point, value) in enumerate(zip(schema.points, sample.values, strict=True))
        if value is not None
        and abs(value) < float("inf")
        and sample.quality_at(index) is Quality.GOOD
    }
