"""Every relative link of the README, the documentation and its examples leads to a file and to a heading in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.support.paths import ROOT

NAMED = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")
PAGES = sorted(
    [*(ROOT / name for name in NAMED), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*/README.md")]
)


def without_code(text: str) -> str:
    """Return Markdown without its fenced blocks and code spans, whose brackets are no links."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"(?ms)^```.*?^```", "", text))


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page, made from its headings as GitHub makes them."""
    headings = re.findall(r"(?m)^#+ (.+)$", re.sub(r"(?ms)^```.*?^```", "", path.read_text("utf-8")))
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(path: Path) -> list[str]:
    """Return the relative links of a page; labels may hold code spans."""
    targets = re.findall(r"\]\(([^()\s]+)\)", without_code(path.read_text("utf-8")))
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


def leads_somewhere(page: Path, link: str) -> bool:
    """Say whether a link's file exists and, if it names a heading of a Markdown page, the heading too."""
    name, _, anchor = link.partition("#")
    path = (page.parent / name) if name else page
    return path.exists() and (not anchor or path.suffix != ".md" or anchor in anchors(path))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    """A page that moved, or a heading that was rewritten, breaks no link."""
    assert [link for link in links(page) if not leads_somewhere(page, link)] == []


def test_a_broken_link_is_noticed(tmp_path: Path) -> None:
    """A missing file and a missing heading are; a link in a code block is none."""
    page = tmp_path / "page.md"
    page.write_text("# One `b` two\n\n[a](gone.md) [b](#one-b-two) [c](#three)\n\n```\n[d](x.md)\n```\n", "utf-8")
    assert [link for link in links(page) if not leads_somewhere(page, link)] == ["gone.md", "#three"]
