"""docs/safety.md says of the rules what the code says, and every rule has a test that is marked with it."""

from __future__ import annotations

import pytest

from actors.safety.catalogue import DERATINGS, LIMITS
from actors.safety.config import OUTER_BOUNDS, DeviceLimits
from actors.safety.rules import Action
from tests.actors.safety.rule_document import (
    DOCUMENT,
    ROOT,
    find_tests,
    rule_names,
    with_tables,
)

TESTS = find_tests(ROOT / "tests")


def test_the_document_is_what_the_rules_generate() -> None:
    document = DOCUMENT.read_text(encoding="utf-8")

    assert document == with_tables(document), "run `make tables` and commit docs/safety.md"


@pytest.mark.parametrize("rule", rule_names())
def test_every_rule_is_held_by_a_test(rule: str) -> None:
    assert TESTS[rule]


def test_no_test_claims_a_rule_that_does_not_exist_and_no_name_is_taken_twice() -> None:
    names = rule_names()

    assert TESTS.keys() <= set(names)
    assert len(names) == len(set(names))


def test_every_figure_of_a_rule_exists_and_every_figure_has_a_source() -> None:
    for rule in (*LIMITS, *DERATINGS):
        for named in (rule.limit, rule.hysteresis, rule.delay, rule.clear, rule.band, rule.back_at):
            assert not isinstance(named, str) or not named or hasattr(DeviceLimits(), named)
    assert all(bound.source and bound.why for bound in OUTER_BOUNDS.values())


def test_trips_come_first_and_deratings_are_kept_apart() -> None:
    actions = [rule.action for rule in LIMITS]

    assert actions[:3] == [Action.TRIP] * 3
    assert Action.TRIP not in actions[3:]
    assert Action.DERATE not in actions
    assert {rule.action for rule in DERATINGS} == {Action.DERATE}
