"""Writes the tables of docs/safety.md from the rules' own data and the tests' markers: `python -m ... --write`."""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import msgspec

from actors.safety.catalogue import DERATINGS, LIMITS
from actors.safety.conditions import COMMAND_RULES, CONDITIONS, ConditionRule
from actors.safety.config import OUTER_BOUNDS, DeviceLimits
from actors.safety.inputs import INPUTS, Input
from actors.safety.rules import Action, Rule
from actors.safety.site import SITE_RULES

ROOT = Path(__file__).parents[3]
DOCUMENT = ROOT / "docs" / "safety.md"
DEFAULTS = DeviceLimits()
MARKS = {
    "rules": ("<!-- rules: generated -->", "<!-- rules: end -->"),
    "figures": ("<!-- figures: generated -->", "<!-- figures: end -->"),
}


def rule_names() -> list[str]:
    """Return the name of every rule, in the order of the document."""
    limits = (*CONDITIONS, *LIMITS, *DERATINGS, *SITE_RULES, *COMMAND_RULES)
    return [*(rule.name for rule in limits), *(wanted.rule for wanted in INPUTS)]


def find_tests(folder: Path) -> dict[str, list[str]]:
    """Return by rule the tests below `folder` that are marked with it."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(folder.rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        if "mark.rule(" not in text:
            continue
        for test, rule in _marked(ast.parse(text)):
            name = f"{path.stem}::{test}"
            if name not in found[rule]:
                found[rule].append(name)
    return found


def _marked(module: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield every test of a module with each rule that it, or a list of its parameters, is marked with."""
    lists = {
        target.id: list(_rules_in(node.value))
        for node in module.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in module.body:
        if not (isinstance(node, ast.FunctionDef) and node.name.startswith("test_")):
            continue
        for decorator in node.decorator_list:
            rules = list(_rules_in(decorator))
            names = [part.id for part in ast.walk(decorator) if isinstance(part, ast.Name)]
            for rule in [*rules, *(each for name in names for each in lists.get(name, ()))]:
                yield node.name, rule


def _rules_in(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.rule":
            yield from (str(each.value) for each in node.args if isinstance(each, ast.Constant))


def rule_table(tests: dict[str, list[str]]) -> str:
    """Return the table of hazards, limits, rules and tests."""
    lines = [
        "| Rule | Hazard | Holds when | Concerns | What is done | Source of the limit | Tests |",
        "|---|---|---|---|---|---|---|",
    ]
    rows = [
        *map(_condition_row, CONDITIONS),
        *map(_input_row, INPUTS),
        *map(_rule_row, (*LIMITS, *DERATINGS, *SITE_RULES)),
        *map(_condition_row, COMMAND_RULES),
    ]
    for name, *cells in rows:
        shown = "<br>".join(f"`{test}`" for test in tests.get(name, ()))
        lines.append(f"| `{name}` | {' | '.join(cells)} | {shown} |")
    return "\n".join(lines)


def _condition_row(rule: ConditionRule) -> tuple[str, ...]:
    return (
        rule.name,
        rule.hazard,
        rule.limit,
        rule.direction.value,
        rule.action.value,
        rule.source,
    )


def _input_row(wanted: Input) -> tuple[str, ...]:
    missing = "missing where the device has it" if wanted.optional else "missing"
    holds = f"{missing}, not a finite number, or outside {wanted.low:g} to {wanted.high:g} {wanted.unit}"
    hazard = "decisions on false values"
    source = "project's choice"
    return (wanted.rule, hazard, holds, wanted.direction.value, Action.CLOSE.value, source)


def _rule_row(rule: Rule) -> tuple[str, ...]:
    figure = rule.figure or (rule.limit if isinstance(rule.limit, str) else "")
    source = OUTER_BOUNDS[figure].source if figure in OUTER_BOUNDS else "configuration of the site"
    if not figure:
        source = "the device's own word"
    return (rule.name, rule.hazard, _holds(rule), rule.direction.value, rule.action.value, source)


def _holds(rule: Rule) -> str:
    unit = f" {rule.unit}" if rule.unit else ""
    parts = [f"{rule.signal} {rule.side.value} {_value(rule.limit)}{unit}"]
    if rule.action is Action.DERATE:
        band = f" over {_value(rule.band)}{unit} before it" if rule.band else ""
        parts = [f"{rule.signal} near {_value(rule.limit)}{unit}: power falls to nothing{band}"]
    if rule.delay:
        parts.append(f"for {_value(rule.delay)} s")
    if rule.hysteresis:
        parts.append(f"until it is back by {_value(rule.hysteresis)}{unit}")
    if rule.back_at:
        parts.append(f"until it is back at {_value(rule.back_at)}{unit}")
    if rule.clear:
        parts.append(f"gone for {_value(rule.clear)} s")
    return ", ".join(parts)


def _value(named: str | float) -> str:
    """Return a figure with its name and default."""
    if not isinstance(named, str):
        return f"{named:g}"
    value = getattr(DEFAULTS, named, None)
    return f"`{named}`" if value is None else f"`{named}` = {value:g}"


def figure_table() -> str:
    """Return the table of every figure, its default, its outer bounds and the reasons."""
    lines = [
        "| Figure | Default | Outer bounds | Because | Source of the default |",
        "|---|---|---|---|---|",
    ]
    for field in msgspec.structs.fields(DeviceLimits):
        bound = OUTER_BOUNDS[field.name]
        default = "none" if field.default is None else f"{field.default:g} {bound.unit}".strip()
        bounds = f"{bound.low:g} to {bound.high:g} {bound.unit}".strip()
        lines.append(f"| `{field.name}` | {default} | {bounds} | {bound.why} | {bound.source} |")
    return "\n".join(lines)


def with_tables(document: str) -> str:
    """Return `document` with its tables as the code has them.

    Raises:
        ValueError: a place for a table is missing.
    """
    tables = {"rules": rule_table(find_tests(ROOT / "tests")), "figures": figure_table()}
    for name, (begin, end) in MARKS.items():
        before, rest = document.split(begin, 1)
        _, after = rest.split(end, 1)
        document = f"{before}{begin}\n{tables[name]}\n{end}{after}"
    return document


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python -m tests.actors.safety.rule_document --write")
    DOCUMENT.write_text(with_tables(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
