"""What [publisher] and the tables below it say: where telemetry goes, and who may ask for set-points."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from actors.publisher.command_config import CommandKey, CommandPath, CommandsConfig
from actors.publisher.command_key import KeyFileError, load_key
from actors.publisher.config import PublisherConfig
from actors.publisher.sink_config import MqttConfig, PubsubConfig
from bessai.judge import Judge

_NESTED: Final = ("pubsub", "mqtt", "commands")
_FILES: Final = {
    "pubsub": ("ca", "credentials"),
    "mqtt": ("ca", "certificate", "key", "password_file"),
}
_REQUIRED: Final = {
    "pubsub": {"project_id": "the id of the Google Cloud project"},
    "mqtt": {"host": "the address of the broker"},
    "commands": {"via": "pubsub or mqtt", "keys": "at least one { id, file }"},
}
_STAND_INS: Final[dict[str, dict[str, object]]] = {
    "pubsub": {"project_id": "stand-in"},
    "mqtt": {"host": "x"},
    "commands": {"via": CommandPath.MQTT, "keys": (CommandKey(id="x", file="x"),)},
}
"""What the rest of a table is judged with while a required key is missing or wrong."""
_S = TypeVar("_S", bound=msgspec.Struct)


def read_publisher(
    judge: Judge,
    section: dict[str, Any],
    base: Mapping[str, Any],
    resolve: Callable[[str], str],
    *,
    hidden: tuple[str, ...],
) -> PublisherConfig | None:
    """Return what `section` says, on top of `base`; `resolve` makes a path of the file absolute.

    `hidden` keys are no operator's.
    """
    tables: dict[str, object] = {name: section.pop(name) for name in _NESTED if name in section}
    reader = _Tables(judge, tables, resolve)
    nested = {
        "pubsub": reader.read("pubsub", PubsubConfig),
        "mqtt": reader.read("mqtt", MqttConfig),
        "commands": reader.read("commands", CommandsConfig),
    }
    if any(name in tables and part is None for name, part in nested.items()):
        return None
    reader.refuse_unusable_keys(nested["commands"])
    return judge.struct(
        "publisher",
        PublisherConfig,
        section,
        {**base, **nested},
        hidden=(*hidden, *_NESTED),
    )


class _Tables:
    """Judges the tables below [publisher]."""

    def __init__(
        self, judge: Judge, tables: Mapping[str, object], resolve: Callable[[str], str]
    ) -> None:
        self._judge = judge
        self._tables = tables
        self._resolve = resolve

    def read(self, name: str, struct: type[_S]) -> _S | None:
        """Return the table `name`, or None if it is absent or wrong."""
        path, table = f"publisher.{name}", self._tables.get(name)
        if table is None:
            return None
        if not isinstance(table, dict):
            self._judge.fault(path, f"must be a table: write [{path}] above its keys")
            return None
        missing = {key: what for key, what in _REQUIRED[name].items() if key not in table}
        for key, what in missing.items():
            self._judge.fault(f"{path}.{key}", f"is missing: give {what}")
        built = self._judge.struct(path, struct, self._resolved(name, table), _STAND_INS[name])
        return None if missing else built

    def refuse_unusable_keys(self, commands: msgspec.Struct | None) -> None:
        """Keys are tried before anything is started, not when the first request comes."""
        if not isinstance(commands, CommandsConfig):
            return
        for key in commands.keys:
            try:
                load_key(key)
            except KeyFileError as error:
                self._judge.fault("publisher.commands.keys", str(error))

    def _resolved(self, name: str, table: dict[str, Any]) -> dict[str, Any]:
        """Return `table` with the paths in it made absolute."""
        files: dict[str, object] = {
            key: self._resolve(table[key])
            for key in _FILES.get(name, ())
            if isinstance(table.get(key), str) and table[key]
        }
        for key, file in files.items():
            if not Path(str(file)).is_file():
                self._judge.refuse(f"publisher.{name}.{key}", file, "there is no such file")
        keys = table.get("keys")
        if name == "commands" and isinstance(keys, list):
            files["keys"] = [self._resolved_key(key) for key in keys]
        return {**table, **files}

    def _resolved_key(self, key: object) -> object:
        if isinstance(key, dict) and isinstance(key.get("file"), str):
            return {**key, "file": self._resolve(key["file"])}
        return key
