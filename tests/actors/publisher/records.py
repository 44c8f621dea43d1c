"""Records for tests of what stores and sends them."""

from __future__ import annotations

import json

from actors.publisher.encode import Record


def record(number: int, *, size: int = 0) -> Record:
    """Return a small record that `number` names, with about `size` bytes of body."""
    body = json.dumps({"n": number, "fill": "x" * size}).encode()
    return Record("sample", "b1", f"S/sample/b1/1/{number}", number, body)


def number_of(body: bytes) -> int:
    """Return the number of a record by its body."""
    number = json.loads(body)["n"]
    assert isinstance(number, int)
    return number
