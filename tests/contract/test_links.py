"""Every link between documents leads somewhere, and every document is found."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
_LISTED = subprocess.run(
    ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=True,
)
DOCUMENTS = [
    path for name in _LISTED.stdout.split("\0") if name and (path := ROOT / name).is_file()
]
_CODE = re.compile(r"^( *)```.*?^\1```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^()\s]+)\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def _links(document: Path) -> Iterator[tuple[str, Path, str]]:
    """Yield every link of `document` to another place in the repository: as written, its file and its heading."""
    for link in _LINK.findall(_CODE.sub("", document.read_text(encoding="utf-8"))):
        if "://" not in link and not link.startswith("mailto:"):
            name, _, heading = link.partition("#")
            yield link, (document.parent / name).resolve() if name else document, heading


def _anchors(document: Path) -> set[str]:
    """Return what a link to a heading of `document` may name, by GitHub's rule."""
    headings = _HEADING.findall(document.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(document: Path) -> None:
    broken = [
        link
        for link, target, heading in _links(document)
        if not target.exists() or (heading and heading not in _anchors(target))
    ]

    assert not broken


def test_every_document_is_reached_from_the_list_of_documents() -> None:
    reached: set[Path] = set()
    waiting = [DOCS / "README.md"]
    while waiting:
        document = waiting.pop()
        reached.add(document)
        found = {target for _, target, _ in _links(document) if target.suffix == ".md"}
        waiting += [target for target in found - reached if target.is_file()]

    assert set(DOCS.rglob("*")) - reached == {DOCS / "adr"}


@pytest.mark.parametrize("folder", ["docs", "docs/adr"])
def test_a_folder_of_documents_lists_each_of_its_own_once(folder: str) -> None:
    own = ROOT / folder
    listed = [target for _, target, _ in _links(own / "README.md") if target.parent == own]

    assert sorted(listed) == sorted(set(own.glob("*.md")) - {own / "README.md"})


def test_every_decision_has_a_number_of_its_own_which_its_title_repeats() -> None:
    decisions = sorted((DOCS / "adr").glob("0*.md"))
    titles = [path.read_text(encoding="utf-8").splitlines()[0] for path in decisions]

    assert len({path.name[:4] for path in decisions}) == len(decisions)
    assert all(
        title.startswith(f"# {path.name[:4]} ")
        for path, title in zip(decisions, titles, strict=True)
    )
