"""The sentences of the API's documentation that are facts, by number; they are written in `facts.md`."""

from __future__ import annotations

from typing import Final

from .tables import rows_of

_ROWS: Final = rows_of("facts.md")[1:]

FACTS: Final = {number: sentence for number, sentence, _ in _ROWS}
NOTES: Final = {number: note for number, _, note in _ROWS if note}
