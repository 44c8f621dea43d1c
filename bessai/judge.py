"""Judges what an operator wrote, one table against one struct, and collects every fault instead of stopping at one."""

from __future__ import annotations

import difflib
import enum
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple, TypeVar, get_args

import msgspec

from bessai.environment import Setting

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_S = TypeVar("_S", bound=msgspec.Struct)
_SHOWN: Final = 60
_WORDS: Final = {
    "array": "a list",
    "bool": "true or false",
    "float": "a number",
    "int": "a whole number",
    "object": "a table",
    "str": "text",
}
"""What the types of TOML are called by people who do not program."""


class Fault(NamedTuple):
    """One thing that is wrong, and how to mend it."""

    where: str
    """File and key, or the environment variable."""
    what: str

    def __str__(self) -> str:
        """Return it as one line."""
        return f"{self.where}: {self.what}"


class ConfigError(ValueError):
    """A configuration that cannot be used; `faults` holds everything that is wrong with it."""

    def __init__(self, faults: list[Fault]) -> None:
        """Tell all faults at once."""
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults


class Judge:
    """Collects the faults of one file and of the environment variables that override it."""

    def __init__(self, file: str, settings: Mapping[str, Setting]) -> None:
        """Judge `file`; a key in `settings` was set by an environment variable, which is blamed in its place."""
        self._file = file
        self._settings = settings
        self.faults: list[Fault] = []

    def is_from_environment(self, path: str) -> bool:
        """Return whether an environment variable set the key at `path`."""
        return path in self._settings

    def fault(self, path: str, what: str) -> None:
        """Note that the key at `path` is wrong."""
        setting = self._settings.get(path)
        where = f"environment variable {setting.variable}" if setting else f"{self._file}: {path}"
        self.faults.append(Fault(where, what))

    def refuse(self, path: str, value: object, why: str) -> None:
        """Note that the key at `path` may not have `value`."""
        self.fault(path, f"{shown(value)} is not allowed: {why}")

    def struct(
        self,
        path: str,
        struct: type[_S],
        raw: Mapping[str, Any],
        base: Mapping[str, Any],
        *,
        hidden: Iterable[str] = (),
        also: Iterable[str] = (),
    ) -> _S | None:
        """Return the struct made of `base` and the table `raw`, or None after noting all that is wrong with `raw`.

        `hidden` fields cannot be set by an operator, the keys in `also` are judged elsewhere.
        """
        fields = msgspec.structs.fields(struct)
        kinds = {field.name: field.type for field in fields if field.name not in hidden}
        before = len(self.faults)
        self.refuse_unknown(path, raw, (*kinds, *also))
        given = {key: value for key, value in raw.items() if key in kinds}
        good = {
            key: value
            for key, value in given.items()
            if self._fits(f"{path}.{key}", kinds[key], value)
        }
        good = {key: msgspec.convert(value, kinds[key]) for key, value in good.items()}
        built = self._build(path, struct, good, base, set(given) - set(good))
        return built if len(self.faults) == before else None

    def refuse_unknown(self, path: str, raw: Iterable[str], known: Iterable[str]) -> None:
        """Note every key of `raw` that is not in `known`, with the nearest one that is."""
        allowed = sorted(known)
        for key in raw:
            if key in allowed:
                continue
            near = difflib.get_close_matches(key, allowed, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(allowed)}"
            self.fault(f"{path}.{key}".lstrip("."), f"is not a key here; {hint}")

    def table(self, data: Mapping[str, Any], name: str) -> dict[str, Any]:
        """Return a copy of the table `name`, which may be absent."""
        table = data.get(name, {})
        if isinstance(table, dict):
            return dict(table)
        self.fault(name, f"must be a table: write [{name}] above its keys")
        return {}

    def name(self, path: str, value: object, *, hint: str) -> str:
        """Return `value` if it can name a thing, else an empty string."""
        if value is None or value == "":
            self.fault(path, f"is missing: give {hint}")
        elif isinstance(value, str) and NAME.fullmatch(value):
            return value
        else:
            self.refuse(path, value, "use 1 to 64 letters, digits, dots, dashes or underscores")
        return ""

    def choice(self, path: str, value: object, choices: tuple[str, ...]) -> str:
        """Return `value` in lower case if it is one of `choices`."""
        text = str(value).lower()
        if text not in choices:
            self.refuse(path, value, f"choose one of {', '.join(choices)}")
        return text

    def _fits(self, path: str, kind: Any, value: object) -> bool:  # noqa: ANN401 - a type or a special form
        before = len(self.faults)
        if isinstance(value, dict):
            for struct in (part for part in (kind, *get_args(kind)) if _is_struct(part)):
                names = [field.name for field in msgspec.structs.fields(struct)]
                self.refuse_unknown(path, value, names)
        if isinstance(kind, type) and issubclass(kind, enum.Enum):
            choices = [str(member.value) for member in kind]
            if value not in choices:
                self.refuse(path, value, f"choose one of {', '.join(choices)}")
                return False
        if isinstance(value, float) and not math.isfinite(value):
            self.refuse(path, value, "expected a finite number")
            return False
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            self._refuse_kind(path, value, str(error))
        return len(self.faults) == before

    def _refuse_kind(self, path: str, value: object, message: str) -> None:
        """Note what msgspec says, which may be a sentence of a struct's own about a key below `path`."""
        if message.startswith("Expected") or "Object missing" in message:
            self.refuse(path, value, _plain(message))
        else:
            self.fault(path, re.sub(rf"^(?:{re.escape(path)}[: ]*)", "", _plain(message)))

    def _build(
        self,
        path: str,
        struct: type[_S],
        good: dict[str, Any],
        base: Mapping[str, Any],
        removed: set[str],
    ) -> _S | None:
        """Build the struct; a key that keeps it from being built is noted and left out, until nothing does."""
        while True:
            try:
                return struct(**{**base, **good})
            except ValueError as error:
                sentences = str(error).split("; ")
            culprits: set[str] = set()
            for sentence in sentences:
                culprits |= self._blame(path, struct, sentence, (good, base), removed)
            if not culprits:
                return None
            removed |= culprits
            good = {key: value for key, value in good.items() if key not in culprits}

    def _blame(
        self,
        path: str,
        struct: type[msgspec.Struct],
        sentence: str,
        values: tuple[dict[str, Any], Mapping[str, Any]],
        removed: set[str],
    ) -> set[str]:
        """Note what `sentence` says at the key it begins with; return the keys of the operator that led to it."""
        good, base = values
        names = {field.name for field in msgspec.structs.fields(struct)}
        lead = re.match(r"[\w.-]*", sentence)
        words = lead[0].split(".") if lead else []
        place = next((n for n, word in enumerate(words) if word in names), None)
        if place is None:
            self.fault(path, sentence)
            return set()
        key, what = words[place], sentence[len(".".join(words)) :].removeprefix(" = ").strip()
        spoiled = bool(
            removed & set(re.findall(r"\w+", what))
        )  # it is measured by what is wrong itself
        if key in good:
            if not spoiled:
                self.fault(f"{path}.{'.'.join(words[place:])}", what)
            return {key}
        causes = _causes(struct, sentence, good, base)
        for cause in sorted(causes) if not spoiled else ():
            unfit = f"{shown(good[cause])} does not go with {key} = {what}"
            self.fault(f"{path}.{cause}", unfit.replace(" is not allowed", ""))
        if not causes:
            self.fault(f"{path}.{key}", what)
        return causes


def shown(value: object) -> str:
    """Return how a message shows what somebody wrote."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _is_struct(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _causes(
    struct: type[msgspec.Struct], sentence: str, good: dict[str, Any], base: Mapping[str, Any]
) -> set[str]:
    """Return the keys without which the struct would not complain with `sentence`."""
    return {
        key
        for key in good
        if sentence
        not in _complaint(struct, {**base, **{k: v for k, v in good.items() if k != key}})
    }


def _complaint(struct: type[msgspec.Struct], values: Mapping[str, Any]) -> str:
    try:
        struct(**values)
    except ValueError as error:
        return str(error)
    return ""


def _plain(message: str) -> str:
    """Return a message of msgspec in the words of an operator."""
    text = re.sub(r" - at `(?:key in )?\$?\.?([^`]*)`", r" (at \1)", message).replace(" (at )", "")
    text = re.sub(r"Object missing required field `(\w+)`", r"its key \1 is missing", text)
    text = re.sub(r"`([^`]*)`", lambda found: _words(found[1]), text)
    return text.replace("Expected", "expected")


def _words(types: str) -> str:
    """TOML has no null, so nobody needs to hear of it."""
    names = [name for name in types.split(" | ") if name != "null"]
    return " or ".join(_WORDS.get(name, name) for name in names)
