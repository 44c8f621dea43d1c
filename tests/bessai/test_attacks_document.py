"""docs/attacks.md claims what a test shows, and leaves out none."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_attack_in_the_document_is_a_test_and_every_test_is_in_it() -> None:
    document = (ROOT / "docs" / "attacks.md").read_text(encoding="utf-8")
    tests = (ROOT / "tests" / "chaos" / "test_attacks.py").read_text(encoding="utf-8")
    told = re.findall(r"\| `(test_\w+)` \|$", document, flags=re.MULTILINE)
    assert set(told) == set(re.findall(r"^def (test_\w+)", tests, flags=re.MULTILINE))
