"""What hides the key of a run in whatever a target sends back: as it is, percent-encoded, as hex, and as base64."""

from __future__ import annotations

import base64
from collections.abc import Iterator

from viralsync_mock.redaction import MASK, masked

MIN_LENGTH = 8
"""A key of fewer characters than this is none: its pieces would stand everywhere."""


def redact(text: str, key: str) -> str:
    """Return a text without the key, however it is written."""
    text = masked(text, key)
    for form in _forms(key):
        if form in text:
            text = text.replace(form, MASK)
    return text


def redact_bytes(data: bytes, key: str) -> bytes:
    """Return bytes of any kind without the key; the same object when there is nothing to hide."""
    text = data.decode("latin-1")
    shown = redact(text, key)
    return data if shown == text else shown.encode("latin-1")


def _forms(key: str) -> Iterator[str]:
    """Yield what a key becomes as hex, and within any base64: what stands before it shifts it by 0, 1 or 2 bytes."""
    raw = key.encode()
    if len(raw) < MIN_LENGTH:
        return
    yield raw.hex()
    yield raw.hex().upper()
    for encoded in (base64.b64encode, base64.urlsafe_b64encode):
        for shift, start in enumerate((0, 2, 3)):
            text = encoded(bytes(shift) + raw).decode().rstrip("=")
            yield text[start : len(text) - ((shift + len(raw)) % 3 > 0)]
