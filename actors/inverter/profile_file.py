"""Reads a profile from its TOML file, with errors that name file, place and fix: all of them at once."""

from __future__ import annotations

import tomllib
import typing
from pathlib import Path
from typing import Any

import msgspec

from actors.inverter.errors import ProfileError
from actors.inverter.profile import AnyProfile, Profile
from actors.inverter.profile_judge import Judge, nearest

_ROOT = Path(__file__).resolve().parents[2]
_DIRECTORIES = (_ROOT / "config" / "profiles", _ROOT / "bessai" / "_config" / "profiles")
"""Where profiles lie in a source tree and in an installed package."""

KINDS: dict[str, type[msgspec.Struct]] = {
    str(kind.__struct_config__.tag): kind for kind in typing.get_args(AnyProfile) or (Profile,)
}
"""The structs that a file may become, by its `kind`."""
USUAL_KIND = "registers"


def load_profile(path_or_name: str | Path, directory: Path | None = None) -> AnyProfile:
    """Return the profile in a file, or the one of that name in `directory` (by default the profiles that come along).

    Raises:
        ProfileError: there is no such profile, or it cannot be used; the message names file, place and fix.
    """
    path = _locate(path_or_name, directory)
    if path.suffix in {".yaml", ".yml"}:
        msg = f"profile {path}: YAML is not read; write it as TOML (docs/profiles.md)"
        raise ProfileError(msg)
    try:
        text = path.read_bytes()
    except OSError as error:
        msg = f"profile {path} cannot be read: {error.strerror}"
        raise ProfileError(msg) from error
    return parse_profile(text, str(path))


def parse_profile(text: bytes, origin: str) -> AnyProfile:
    """Return the profile in TOML `text`; `origin` names it in errors.

    Raises:
        ProfileError: it cannot be used; several faults stand on lines of their own.
    """
    try:
        raw = tomllib.loads(text.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        msg = f"profile {origin} is not TOML: {error}"
        raise ProfileError(msg) from error
    judge = Judge()
    kind = raw.pop("kind", USUAL_KIND)
    if kind not in KINDS:
        judge.faults.append(
            f"kind = {kind!r} is not allowed; {nearest(str(kind), KINDS, 'use')}: {', '.join(KINDS)}"
        )
        kind = USUAL_KIND
    _name_numbers(raw, judge)
    profile = judge.struct(KINDS[kind], raw)
    if judge.faults or profile is None:
        faults = "\n  ".join(judge.faults)
        lead = "" if len(judge.faults) == 1 else "\n  "
        msg = f"profile {origin}: {lead}{faults}"
        raise ProfileError(msg)
    return typing.cast("AnyProfile", profile)


def profile_names(directory: Path | None = None) -> list[str]:
    """Return the names of the profiles in `directory`, by default those that come along."""
    return sorted(path.stem for path in profile_directory(directory).glob("*.toml"))


def profile_directory(directory: Path | None = None) -> Path:
    """Return `directory`, by default that of the profiles that come along."""
    if directory is not None:
        return directory
    return next((found for found in _DIRECTORIES if found.is_dir()), _DIRECTORIES[0])


def _locate(path_or_name: str | Path, directory: Path | None) -> Path:
    if isinstance(path_or_name, Path) or Path(path_or_name).suffix in {".toml", ".yaml", ".yml"}:
        return Path(path_or_name)
    names = profile_names(directory)
    where = profile_directory(directory)
    if path_or_name in names:
        return where / f"{path_or_name}.toml"
    hint = nearest(path_or_name, names, f"known are {', '.join(names) or 'none'}")
    msg = f"there is no profile {path_or_name!r} in {where}: {hint}"
    raise ProfileError(msg)


def _name_numbers(raw: dict[str, Any], judge: Judge) -> None:
    """Put the tables of [enums] where points name them, and read the numbers that are their keys."""
    shared = raw.pop("enums", {})
    tables = shared if isinstance(shared, dict) else {}
    for point in _points(raw):
        named = point.get("enum")
        place = f"point {point.get('name', '?')}"
        if isinstance(named, str):
            if named not in tables:
                hint = nearest(named, tables, "write [enums." + named + "]")
                judge.faults.append(f"{place}: enum = {named!r} is not a table of [enums]; {hint}")
            named = tables.get(named, {})
        if isinstance(named, dict):
            point["enum"] = {_number(key, place, judge): name for key, name in named.items()}


def _number(key: object, place: str, judge: Judge) -> int:
    try:
        return int(str(key), 0)
    except ValueError:
        judge.faults.append(f"{place}: enum key {key!r} is not a whole number such as 3 or 0x0200")
        return 0


def _points(raw: dict[str, Any]) -> list[dict[str, Any]]:
    """Return every table that may be a point of a block; what is none is told later."""
    blocks = raw.get("blocks")
    tables = (
        [block for block in blocks if isinstance(block, dict)] if isinstance(blocks, list) else []
    )
    lists = [points for block in tables if isinstance(points := block.get("points"), list)]
    return [point for points in lists for point in points if isinstance(point, dict)]
