"""Mutation testing of the guard: `make mutants` changes its code in small ways, and its tests must notice each.

Each mutant is a changed syntax tree of one module, tried in a fork of this process, which has imported everything else
already. It is killed if a test fails, if it cannot be imported, or if it takes too long. The guard's behaviour alone
must kill it: the test that compares docs/safety.md with the code is left out.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib
import importlib.machinery
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

ROOT = Path(__file__).parents[1]
MODULES = (
    *("assessment", "catalogue", "config", "envelope", "guard", "inputs", "judgement"),
    *("ramp", "rules", "signals", "site", "track", "watch"),
)
"""The pure modules of the guard. `figures` and `conditions` are words and bounds, and hold no decision."""
TESTS = (
    *("rules", "judgement", "inputs", "watch", "signals", "ramp", "site", "guard"),
    *("falling_power", "config", "envelope"),
)
FIRST = {
    "assessment": "judgement",
    "catalogue": "rules",
    "envelope": "falling_power",
    "rules": "watch",
    "track": "guard",
}
"""Whose tests are run first, where they do not have the module's own name: they kill most."""
LEAST_PCT = 95.0
TIME_LIMIT_S = 120
END: Final[Any] = object()

_COMPARE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_BINARY: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
}
_NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}
_MEMBERS = {
    "ABOVE": "BELOW",
    "BELOW": "ABOVE",
    "CHARGE": "DISCHARGE",
    "DISCHARGE": "BOTH",
    "BOTH": "CHARGE",
    "CLOSE": "STOP",
    "STOP": "CLOSE",
    "TRIP": "STOP",
    "ALLOWED": "DENIED",
    "CLAMPED": "ALLOWED",
    "DENIED": "ALLOWED",
}
_TYPES = frozenset({"annotation", "returns", "decorator_list", "bases"})
_OPTIONS = frozenset({"hysteresis", "delay", "clear", "band", "back_at", "action"})
"""Keywords that a rule may be without."""


class Mutant(NamedTuple):
    """One change of one module."""

    module: str
    line: int
    what: str
    tree: ast.Module


def mutants_of(module: str) -> Iterator[Mutant]:
    """Yield every mutant of a module."""
    tree = ast.parse(_path(module).read_text(encoding="utf-8"))
    count = len(list(_places(tree)))
    for number in range(count):
        changed = copy.deepcopy(tree)
        node, field, index = list(_places(changed))[number]
        old = getattr(node, field) if index is None else getattr(node, field)[index]
        for new, what in _changes(old):
            fresh = copy.deepcopy(changed)
            home, _, _ = list(_places(fresh))[number]
            _put(home, field, index, new)
            yield Mutant(module, getattr(old, "lineno", 0), what, ast.fix_missing_locations(fresh))


def _places(tree: ast.AST) -> Iterator[tuple[ast.AST, str, int | None]]:
    """Yield where each node hangs that decides something: no words, no types, no lists of names."""
    for field, value in ast.iter_fields(tree):
        if field in _TYPES or (isinstance(tree, ast.ClassDef) and field == "keywords"):
            continue
        children = list(enumerate(value)) if isinstance(value, list) else [(None, value)]
        for index, child in children:
            if not isinstance(child, ast.AST) or _is_words(child):
                continue
            yield tree, field, index
            yield from _places(child)


def _is_words(node: ast.AST) -> bool:
    named = node.targets[0] if isinstance(node, ast.Assign) else None
    return (
        isinstance(node, ast.JoinedStr | ast.Raise | ast.Import | ast.ImportFrom)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        or (isinstance(named, ast.Name) and named.id.startswith("__"))
    )


def _changes(node: ast.AST) -> Iterator[tuple[ast.AST | None, str]]:
    """Yield what a node may become, and what that is called; None takes it away."""
    shown = ast.unparse(node)[:60] if isinstance(node, ast.expr | ast.stmt | ast.keyword) else ""
    for new in (*_operations(node), *_values(node), *_statements(node)):
        yield new, f"{shown} -> {ast.unparse(new)[:60]}"
    if isinstance(node, ast.keyword) and node.arg in _OPTIONS:
        yield None, f"without {shown}"


def _operations(node: ast.AST) -> Iterator[ast.expr]:
    match node:
        case ast.Compare(ops=[first, *others], left=left, comparators=rest):
            yield ast.Compare(left, [_COMPARE[type(first)](), *others], rest)
        case ast.BinOp(left, op, right) if type(op) in _BINARY:
            yield ast.BinOp(left, _BINARY[type(op)](), right)
        case ast.BoolOp(op, values):
            yield ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values)
        case ast.UnaryOp(ast.Not() | ast.USub(), operand):
            yield operand
        case ast.IfExp(test, body, orelse):
            yield ast.IfExp(test, orelse, body)
        case _:
            return


def _values(node: ast.AST) -> Iterator[ast.expr]:
    match node:
        case ast.Constant(bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(int(value) | float(value)):
            yield ast.Constant(value + 1)
        case ast.Name(id) if id in _NAMES:
            yield ast.Name(_NAMES[id], node.ctx)
        case ast.Attribute(ast.Name(owner), attr) if attr in _MEMBERS and owner[0].isupper():
            yield ast.Attribute(node.value, _MEMBERS[attr], node.ctx)
        case _:
            return


def _statements(node: ast.AST) -> Iterator[ast.stmt]:
    match node:
        case ast.If(test, body, orelse) if not isinstance(test, ast.Compare):
            yield ast.If(ast.UnaryOp(ast.Not(), test), body, orelse)
        case ast.AugAssign() | ast.Expr(ast.Call()) | ast.Assign(targets=[ast.Attribute()]):
            yield ast.Pass()
        case ast.Continue():
            yield ast.Break()
        case _:
            return


def _put(home: ast.AST, field: str, index: int | None, new: ast.AST | None) -> None:
    if index is None:
        setattr(home, field, new)
    elif new is None:
        del getattr(home, field)[index]
    else:
        getattr(home, field)[index] = new


def survivors(mutants: Iterable[Mutant | None], jobs: int) -> Iterator[Mutant | None]:
    """Try `mutants`, so many at a time, and yield those with which every test passes; None is the code as it is."""
    waiting = iter(mutants)
    running: dict[int, tuple[Mutant | None, float]] = {}
    while True:
        while len(running) < jobs and (mutant := next(waiting, END)) is not END:
            child = os.fork()
            if child == 0:
                _run_tests(mutant)
            running[child] = (mutant, time.monotonic() + TIME_LIMIT_S)
        if not running:
            return
        child, status = os.waitpid(-1, os.WNOHANG)
        if child:
            mutant, _ = running.pop(child)
            if status == 0:
                yield mutant
            continue
        _end_late(running)
        time.sleep(0.01)


def _end_late(running: Mapping[int, tuple[Mutant | None, float]]) -> None:
    for child, (_, until_s) in running.items():
        if time.monotonic() > until_s:
            os.kill(child, signal.SIGKILL)


def _run_tests(mutant: Mutant | None) -> None:
    """Run the guard's tests in this process with `mutant` in the place of its module, and leave."""
    import pytest

    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    stages = [list(TESTS)]
    if mutant is not None:
        _replace(mutant)
        first = FIRST.get(mutant.module, mutant.module)
        stages = [[first], [name for name in TESTS if name != first]]
    for names in stages:
        paths = [str(ROOT / f"tests/actors/safety/test_{name}.py") for name in names]
        options = ["-x", "-q", "-p", "no:cacheprovider", "--assert=plain", "--timeout=0"]
        if code := int(pytest.main([*options, f"--rootdir={ROOT}", *paths])):
            os._exit(code)
    os._exit(0)


def _replace(mutant: Mutant) -> None:
    path = str(_path(mutant.module))
    code = compile(mutant.tree, path, "exec")
    usual = importlib.machinery.SourceFileLoader.get_code

    def get_code(loader: importlib.machinery.SourceFileLoader, fullname: str) -> object:
        return code if loader.path == path else usual(loader, fullname)

    importlib.machinery.SourceFileLoader.get_code = get_code  # type: ignore[method-assign,assignment]


def _path(module: str) -> Path:
    return ROOT / "actors" / "safety" / f"{module}.py"


def _prepare() -> None:
    """Import what is the same for every mutant, and let hypothesis neither remember nor shrink."""
    import hypothesis

    for name in ("pytest", "actors.messages"):
        importlib.import_module(name)

    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
    hypothesis.settings.register_profile(
        "mutants", database=None, derandomize=True, max_examples=20, phases=phases
    )
    hypothesis.settings.load_profile("mutants")


def main() -> int:
    """Try the mutants; return 1 if too many survive."""
    parser = argparse.ArgumentParser(prog="tests.mutants", description=__doc__)
    parser.add_argument("--module", choices=MODULES, help="try those of one module only")
    parser.add_argument("--every", type=int, default=1, help="try only one in so many")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="try so many at a time")
    wanted = parser.parse_args()
    os.chdir(ROOT)
    _prepare()
    if not list(survivors([None], 1)):
        print("the tests fail without any mutant: mend them first")
        return 2
    begin_s = time.monotonic()
    modules = [wanted.module] if wanted.module else MODULES
    mutants = [mutant for module in modules for mutant in mutants_of(module)][:: wanted.every]
    alive = 0
    for mutant in survivors(mutants, wanted.jobs):
        alive += 1
        print(
            f"survives: {mutant.module}:{mutant.line}: {mutant.what}" if mutant else "", flush=True
        )
    killed_pct = 100.0 * (1 - alive / len(mutants))
    spent_s = time.monotonic() - begin_s
    print(f"{len(mutants)} mutants, {alive} survive: {killed_pct:.1f} % killed in {spent_s:.0f} s")
    return int(killed_pct < LEAST_PCT)


if __name__ == "__main__":
    sys.exit(main())
