"""How every artefact is written: safe to show, and whole or not at all."""

from __future__ import annotations

import json
import re
from html import escape
from pathlib import Path
from tempfile import NamedTemporaryFile
from traceback import format_exception
from typing import Any

from viralsync_mock.errors import UsageError
from viralsync_mock.redaction import masked, sanitised, shown_value

_SPECIAL = str.maketrans({char: f"\\{char}" for char in "\\`*_[]()|~!"} | {"@": "@\u200b", "#": "#\u200b"})
"""What would be markup; and a break behind what would mention a person or an issue."""

_LINK = re.compile(r"(?:\b(?:https?|ftp|mailto|xmpp)(?=:))|\bwww(?=\.)", re.IGNORECASE)
"""What GitHub would turn into a link: the character after it is escaped."""


def write(folder: Path, name: str, text: str) -> Path:
    """Write a text into the folder and return its path; a reader finds the old file or the new one whole."""
    path, half = folder / name, folder / f".{name}.part"
    half.write_bytes(safe(text).encode("utf-8", "replace"))  # JSON may bring halves of characters
    half.replace(path)
    return path


def check_writable(option: str, folder: Path) -> None:
    """Make a folder that an option names; raises UsageError if nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=folder):
            pass
    except OSError as problem:
        reason = problem.strerror or problem
        raise UsageError(f"{option} {folder}: cannot be written: {reason}. Name a folder that you may write") from None


NO_VERDICT = 70
"""The exit code of an error in viralsync-mock itself: `EX_SOFTWARE`."""


def no_verdict(error: Exception, report_dir: Path | None) -> str:
    """Say that a run has no verdict because of a bug; the traceback goes to a file beside the reports."""
    text = safe(f"no verdict: an error in viralsync-mock itself: {type(error).__name__}: {error}")
    hint = "Run it again with --report-dir DIR to keep the details."
    if report_dir is not None:
        hint = f"Details: {write(report_dir, 'crash.txt', ''.join(format_exception(error)))}"
    return f"{one_line(text, 500)}\n{hint}"


def safe(text: str) -> str:
    """Return the text without keys and control characters; line by line, since no key spans two."""
    return "\n".join(map(masked, sanitised(text).split("\n")))


def as_json(document: Any) -> str:
    """Return a document as JSON for people, with a line for each value."""
    return f"{json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)}\n"


def text_of(data: bytes) -> str:
    """Return bytes as text, with U+FFFD for what is not UTF-8: an encoding could hide a key."""
    return data.decode("utf-8", "replace")


def shown_headers(headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Return headers without secrets; `authorization` keeps its scheme."""
    return tuple((name, shown_value(name, value)) for name, value in headers)


def one_line(text: str, longest: int = 200) -> str:
    """Return a text without breaks and control characters, shortened."""
    flat = " ".join(sanitised(text).split())
    return flat if len(flat) <= longest else f"{flat[: longest - 1]}…"


def cell(text: str, longest: int = 200) -> str:
    """Return a text as it must stand in a cell of a table or in a line: no markup, no break, not too long."""
    flat = masked(one_line(masked(text), longest))  # here, since no key is found between escapes
    return _LINK.sub(r"\g<0>\\", escape(flat, quote=False).translate(_SPECIAL))
