"""Tables that are kept as Markdown, so that people read what the server reads."""

from __future__ import annotations

import re
from pathlib import Path


def rows_of(name: str) -> list[list[str]]:
    """The cells of the one table in a Markdown file of this package, the heading first."""
    lines = Path(__file__).with_name(name).read_text(encoding="utf-8").splitlines()
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines if line.startswith("|")]
    return [[cell.strip().replace("\\|", "|") for cell in row] for row in rows if not row[0].startswith("---")]
