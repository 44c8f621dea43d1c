"""Reads a profile from its TOML file, with errors that name file, place and fix."""

from __future__ import annotations

import difflib
import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from actors.inverter.errors import ProfileError
from actors.inverter.profile import (
    Block,
    Condition,
    Identity,
    Point,
    Profile,
    Requirement,
    Step,
    Timing,
    WriteSpec,
)

_ROOT = Path(__file__).resolve().parents[2]
_DIRECTORIES = (_ROOT / "config" / "profiles", _ROOT / "bessai" / "_config" / "profiles")
"""Where profiles lie in a source tree and in an installed package."""

_KEYS = sorted(
    {
        field.encode_name
        for part in (
            Block,
            Condition,
            Identity,
            Point,
            Profile,
            Requirement,
            Step,
            Timing,
            WriteSpec,
        )
        for field in msgspec.structs.fields(part)
    }
)


def load_profile(path_or_name: str | Path, directory: Path | None = None) -> Profile:
    """Return the profile in a file, or the one of that name in `directory` (by default the profiles that come along).

    Raises:
        ProfileError: there is no such profile, or it cannot be used; the message names file, place and fix.
    """
    path = _locate(path_or_name, directory)
    try:
        text = path.read_bytes()
    except OSError as error:
        msg = f"profile {path} cannot be read: {error.strerror}"
        raise ProfileError(msg) from error
    return parse_profile(text, str(path))


def parse_profile(text: bytes, origin: str) -> Profile:
    """Return the profile in TOML `text`; `origin` names it in errors.

    Raises:
        ProfileError: it cannot be used.
    """
    try:
        raw = tomllib.loads(text.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        msg = f"profile {origin} is not TOML: {error}"
        raise ProfileError(msg) from error
    try:
        return msgspec.convert(raw, Profile)
    except msgspec.ValidationError as error:
        msg = f"profile {origin}: {_explain(str(error), raw)}"
        raise ProfileError(msg) from error


def profile_names(directory: Path | None = None) -> list[str]:
    """Return the names of the profiles in `directory`, by default those that come along."""
    return sorted(path.stem for path in _directory(directory).glob("*.toml"))


def _directory(directory: Path | None) -> Path:
    if directory is not None:
        return directory
    return next((found for found in _DIRECTORIES if found.is_dir()), _DIRECTORIES[0])


def _locate(path_or_name: str | Path, directory: Path | None) -> Path:
    if isinstance(path_or_name, Path) or path_or_name.endswith(".toml"):
        return Path(path_or_name)
    names = profile_names(directory)
    if path_or_name in names:
        return _directory(directory) / f"{path_or_name}.toml"
    near = difflib.get_close_matches(path_or_name, names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(names) or 'none'}"
    msg = f"there is no profile {path_or_name!r} in {_directory(directory)}: {hint}"
    raise ProfileError(msg)


def _explain(message: str, raw: dict[str, Any]) -> str:
    parts = [message, _named_place(message, raw)]
    unknown = re.search(r"unknown field `([^`]+)`", message)
    if unknown:
        near = difflib.get_close_matches(unknown[1], _KEYS, n=1)
        parts.append(f"did you mean {near[0]!r}?" if near else "remove it")
    return "; ".join(part for part in parts if part)


def _named_place(message: str, raw: dict[str, Any]) -> str:
    """Return the names of the block and the point at the path in a msgspec message, where it has one."""
    names: list[str] = []
    place: Any = raw
    kind = ""
    for key, index in re.findall(r"\.(\w+)|\[(\d+)\]", message.rpartition("`$")[2]):
        try:
            place = place[int(index)] if index else place[key]
        except (KeyError, IndexError, TypeError):
            break
        kind = key or kind
        if index and isinstance(place, dict) and "name" in place:
            names.append(f"{kind.removesuffix('s')} {place['name']}")
    return f"that is {', '.join(names)}" if names else ""
