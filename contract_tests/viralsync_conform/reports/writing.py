"""How every artefact is written: without keys, and whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from viralsync_mock.redaction import SECRET_HEADERS, masked


def write(folder: Path, name: str, text: str) -> Path:
    """Write a text into the folder and return its path; whoever reads the file finds the old or the new one whole."""
    path, half = folder / name, folder / f".{name}.part"
    half.write_bytes(without_keys(text).encode("utf-8", "replace"))  # JSON may bring halves of characters
    half.replace(path)
    return path


def without_keys(text: str) -> str:
    """Return the text without anything that looks like a key; line by line, since no key goes over two."""
    return "\n".join(map(masked, text.split("\n")))


def as_json(document: Any) -> str:
    """Return a document as JSON for people, with a line for each value."""
    return f"{json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)}\n"


def text_of(data: bytes) -> str:
    """Return bytes as text; what is no UTF-8 is shown as such, never encoded so that a key could hide in it."""
    return data.decode("utf-8", "replace")


def shown_headers(headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Return headers with the values of those that carry secrets hidden."""
    return tuple((name, "***" if name.lower() in SECRET_HEADERS else masked(value)) for name, value in headers)
