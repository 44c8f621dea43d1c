"""Reads tables of a file into structs and tells every fault at once: place, value, what is allowed, the nearest key.

The structs say what may stand where; nothing here knows what a profile is.
"""

from __future__ import annotations

import difflib
import enum
import re
import types
import typing
from collections.abc import Iterable
from typing import Any

import msgspec

_PATH = re.compile(r" - at `\$([^`]*)`$")
_ELEMENTS = {"blocks": "block", "points": "point", "bits": "bit", "requires": "requirement"}
"""What an element of a list is called."""


class Judge:
    """Collects the faults of one file."""

    def __init__(self) -> None:
        """Begin with none."""
        self.faults: list[str] = []

    def struct(
        self, kind: type[msgspec.Struct], raw: object, place: str = "", around: str = ""
    ) -> msgspec.Struct | None:
        """Return `raw`, which stands at `place` within `around`, as a `kind`; None if it has a fault."""
        if not isinstance(raw, dict):
            self._fault(place, f"expected a table of keys, found {_shown(raw)}")
            return None
        known = {field.encode_name: field for field in msgspec.structs.fields(kind)}
        before = len(self.faults)
        for key in raw:
            if key not in known:
                self._fault(place, f"unknown key {key!r}; {nearest(str(key), known, 'remove it')}")
        values: dict[str, Any] = {}
        for key, field in known.items():
            if key in raw:
                values[field.name] = self._value(field.type, raw[key], place, key)
            elif field.required:
                self._fault(place, f"{key} is missing")
        if len(self.faults) > before:
            return None
        try:
            return kind(**values)
        except ValueError as error:  # the struct names itself
            for line in str(error).splitlines():
                self._fault(around, line)
        return None

    def _value(self, kind: Any, raw: object, place: str, key: str) -> object:  # noqa: ANN401 - any type of a field
        """Return `raw` as a value of the field `key`; structs inside are judged key by key."""
        inner = _struct_in(kind)
        if inner is not None:
            return self.struct(inner, raw, _joined(place, key), place)
        element = _struct_in_tuple(kind)
        if element is not None and isinstance(raw, list):
            return tuple(self._element(element, item, place, key, n) for n, item in enumerate(raw))
        if element is not None:
            self._fault(place, f"{key}: expected a list of tables, found {_shown(raw)}")
            return None
        try:
            return msgspec.convert(raw, kind, str_keys=True)
        except msgspec.ValidationError as error:
            self._fault(place, f"{key}: {_told(str(error), kind, raw)}")
            return None

    def _element(
        self, kind: type[msgspec.Struct], raw: object, place: str, key: str, index: int
    ) -> msgspec.Struct | None:
        names = (raw.get("name"), raw.get("point")) if isinstance(raw, dict) else ()
        name = next((name for name in names if isinstance(name, str)), f"[{index}]")
        if key in _ELEMENTS:
            return self.struct(kind, raw, _joined(place, f"{_ELEMENTS[key]} {name}"), place)
        around = f"{place}.{key}".strip(".")
        called = f"step {name}" if place == "write" else name
        return self.struct(kind, raw, f"{around}, {called}", around)

    def _fault(self, place: str, what: str) -> None:
        self.faults.append(f"{place}: {what}" if place else what)


def nearest(word: str, known: Iterable[str], otherwise: str) -> str:
    """Return the name of `known` that `word` may have been meant to be, as a question."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean {near[0]!r}?" if near else otherwise


def _joined(place: str, inner: str) -> str:
    return f"{place}, {inner}" if place else inner


def _struct_in(kind: Any) -> type[msgspec.Struct] | None:  # noqa: ANN401
    """Return the struct that a field of this type holds, or may hold."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind
    if typing.get_origin(kind) in {types.UnionType, typing.Union}:
        return next(filter(None, map(_struct_in, typing.get_args(kind))), None)
    return None


def _struct_in_tuple(kind: Any) -> type[msgspec.Struct] | None:  # noqa: ANN401
    inner = typing.get_args(kind)
    return _struct_in(inner[0]) if typing.get_origin(kind) is tuple and inner else None


def _told(message: str, kind: Any, raw: object) -> str:  # noqa: ANN401
    """Return what msgspec said of a value, with the value and, for a closed set, what it may be."""
    choices = _choices(kind)
    if choices and isinstance(raw, str):
        hint = nearest(raw, choices, "")
        return f"{raw!r} is not allowed; {hint}{' ' * bool(hint)}allowed are {', '.join(choices)}"
    path = _PATH.search(message)
    inside = f" at {path[1].strip('.')}" if path and path[1] else ""
    what = _PATH.sub("", message).replace("`", "")
    return f"{what[:1].lower()}{what[1:]}{inside}, found {_shown(raw)}"


def _choices(kind: Any) -> list[str]:  # noqa: ANN401
    kinds = [kind, *typing.get_args(kind)]
    found = next((k for k in kinds if isinstance(k, type) and issubclass(k, enum.Enum)), None)
    return [] if found is None else [str(member.value) for member in found]


def _shown(raw: object) -> str:
    text = repr(raw)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004 - what fits a line
