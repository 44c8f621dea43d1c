"""What the values of a sample are called, so that no sample waits for ever.

A sample whose schema is not known has its device asked. A device knows its newest schema only; a sample of an older
one, sent again after an outage, then takes the names of its places.
"""

from __future__ import annotations

from actors.messages import DeviceSchema, PointInfo, Sample
from actors.schemas import SchemaBook


class Explainer:
    """The newest schema of each device, and which samples nothing better will be heard of."""

    def __init__(self) -> None:
        self._book = SchemaBook()
        self._asked: dict[str, int] = {}
        self._given_up: set[tuple[str, int]] = set()

    def learn(self, schema: DeviceSchema) -> None:
        """Remember `schema`; if a device was asked for another one, it does not have that any more."""
        self._book.learn(schema)
        asked = self._asked.pop(schema.device_id, None)
        if asked is not None and asked != schema.schema_id:
            self._given_up.add((schema.device_id, asked))

    def schema_of(self, sample: Sample) -> DeviceSchema | None:
        """Return what explains `sample`, or None if its device is still to be asked."""
        schema = self._book.schema_of(sample)
        if schema is None and (sample.device_id, sample.schema_id) in self._given_up:
            return _stand_in(sample)
        return schema

    def should_ask(self, sample: Sample, now_s: float) -> bool:
        """Return whether it is time to ask the device of `sample`, and count that as asked."""
        if self.schema_of(sample) or not self._book.should_ask(sample.device_id, now_s):
            return False
        self._asked[sample.device_id] = sample.schema_id
        return True


def _stand_in(sample: Sample) -> DeviceSchema:
    points = tuple(PointInfo(f"unnamed_{index}", "") for index in range(len(sample.values)))
    return DeviceSchema(device_id=sample.device_id, schema_id=sample.schema_id, points=points)
