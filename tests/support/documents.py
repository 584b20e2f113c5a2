"""Blocks of code in the documentation."""

from __future__ import annotations

import re
from textwrap import dedent


def python_blocks(text: str) -> list[str]:
    """Return the Python blocks of a page."""
    return [dedent(block) for block in re.findall(r"^[ ]*```python\n(.*?)```", text, re.DOTALL | re.MULTILINE)]
