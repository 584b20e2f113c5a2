"""What makes text safe to show or keep: no API keys or other secrets, and nothing that a terminal or CI log acts on."""

from __future__ import annotations

import re
from array import array
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

MASK = "vs_prod_***"
"""Stands where an API key stood."""

_MASK = MASK.encode()
_OTHER_MASK = b"***"
SECRET_HEADERS = frozenset(
    {"x-api-key", "authorization", "cookie", "set-cookie", "proxy-authorization", "x-mock-token", "x-render-signature"}
    | {"api-key", "x-auth-token", "x-access-token", "x-amz-security-token"}
)
"""Headers whose values are never shown or kept, by lower-case name."""

SECRET_PARAMETERS = frozenset(
    {"key", "api_key", "apikey", "api-key", "x-api-key", "token", "access_token", "refresh_token", "id_token"}
    | {"auth", "auth_token", "authorization", "jwt", "session", "session_id", "password", "passwd", "pwd"}
    | {"secret", "client_secret", "sig", "signature", "x-render-signature", "x-amz-signature", "x-amz-credential"}
    | {"x-amz-security-token", "x-goog-signature", "x-goog-credential"}
)
"""Parameters of a query whose values are never shown or kept, by lower-case name."""

_SECRETS = frozenset(name.encode() for name in SECRET_HEADERS)
_SCHEMES = frozenset({b"bearer", b"basic", b"digest", b"token"})

_TAIL = r"[\w*-]"  # with the mask, so that what follows one is part of the key
_KEY = re.compile(rf"vs_prod_{_TAIL}+", re.IGNORECASE | re.ASCII)
_IN_URL = re.compile(
    r"://([^\s/?#\"'<>\\]+)@"
    rf"|(?:^|[?&;])(?:{'|'.join(sorted(SECRET_PARAMETERS))})=(?!vs_prod_\*\*\*(?:[\s&#\"'<>\\]|$))([^\s&#\"'<>\\]+)",
    re.IGNORECASE | re.MULTILINE,
)  # userinfo, or the value of a parameter: the group is the secret, and no mask of a key
_ESCAPE = re.compile(r'%([2-9a-f][\da-f])|\\u00([2-9a-f][\da-f])|\\([\\/"])', re.IGNORECASE)  # what a key may hide in
_MAX_ENCODING = 4

_UNSAFE = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
    r"|\r(?!\n)"
)
_COMMAND = re.compile(r"^([^\S\n]*:)(?=:)|(##)(?=\[)", re.MULTILINE)


def sanitised(text: str) -> str:
    """Return the text with what a reader cannot see, or a terminal or CI log would obey, made harmless.

    Control characters, escape sequences, marks of writing direction and what XML forbids become U+FFFD; a blank breaks
    the commands of GitHub (`::` at the start of a line) and Azure (`##[`). Breaks of lines and tabs stay.
    """
    return _COMMAND.sub(r"\1\2 ", _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", text))


def masked(text: str, key: str = "") -> str:
    """Return the text without `key`, API keys, userinfo in URLs and secret parameters; all else stays as it is.

    All are found plain, percent-encoded and JSON-escaped, up to four times over.
    """
    text = masked_keys(text, key)
    has_userinfo = "@" in text and ("://" in text or "\\" in text)
    if "=" in text or has_userinfo or "%" in text or ("\\" in text and "\\u" in text.lower()):
        return _without(text, _IN_URL, _OTHER_MASK.decode())
    return text


def masked_keys(text: str, key: str = "") -> str:
    """Return the text without `key` and API keys only, for a store that must send to the URLs that it keeps."""
    if (
        "%" in text
        or ("\\" in text and "\\u" in text.lower())  # one character is looked for ten times as fast as two
        or "_prod_" in text.lower()
        or (key and key in text)
    ):
        return _without(text, _pattern(key), MASK)
    return text


def masked_bytes(data: bytes, key: str = "", mask: Callable[[str, str], str] = masked) -> bytes:
    """Return bytes of any kind as `masked` leaves text; the same object when there is nothing to hide."""
    text = data.decode("latin-1")  # which fits any bytes; and a look into text is faster than one into bytes
    hidden = mask(text, key)
    return data if hidden == text else hidden.encode("latin-1")


def masked_headers(raw: list[tuple[bytes, bytes]], key: str = "") -> tuple[tuple[bytes, bytes], ...]:
    """Return header lines, their names in lower case, without keys, cookies and tokens.

    What was sent empty stays empty, and `authorization` keeps its scheme.
    """
    lines: list[tuple[bytes, bytes]] = []
    others: list[bytes] = []
    for line in raw:
        if line[0] in _SECRETS:
            lines.append(_covered(*line))
        else:
            lines.append(line)
            others += line
    together = b"\n".join(others).decode("latin-1")
    if masked(together, key) == together:
        return tuple(lines)
    return tuple((masked_bytes(name, key), masked_bytes(value, key)) for name, value in lines)


def shown_value(name: str, value: str) -> str:
    """Return a header's value without keys, cookies and tokens; `authorization` keeps its scheme."""
    if name.lower() in SECRET_HEADERS:
        return _covered(name.lower().encode(), value.encode("utf-8", "replace"))[1].decode()
    return masked(value)


def _covered(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    if not value:
        return name, value
    if name == b"x-api-key":
        return name, _MASK
    if name != b"authorization":
        return name, _OTHER_MASK
    scheme, blank, token = value.partition(b" ")
    if scheme.lower() in _SCHEMES:
        return name, scheme + blank + (_MASK if token else b"")
    return name, _MASK


def _without(text: str, pattern: re.Pattern[str], mask: str) -> str:
    """Mask in place, so that what surrounds a secret stays as it came; again until nothing is left to mask."""
    while (hidden := _masked_once(text, pattern, mask)) != text:
        text = hidden
    return text


def _pattern(key: str) -> re.Pattern[str]:
    if not key or _KEY.fullmatch(key):
        return _KEY
    return re.compile(rf"(?:{_KEY.pattern}|(?-i:{re.escape(key)})){_TAIL}*", _KEY.flags)


def _masked_once(text: str, pattern: re.Pattern[str], mask: str) -> str:
    parts, end = list[str](), 0
    for start, stop in sorted(_places(text, pattern)):
        if start > end or not parts:
            parts += text[end:start], mask
        end = max(end, stop)
    return "".join((*parts, text[end:]))


def _places(text: str, pattern: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    """Yield from where to where secrets stand in the text, as it is and decoded once, twice, and so on."""
    places: Sequence[int] = range(len(text) + 1)
    for depth in range(_MAX_ENCODING + 1):
        for found in pattern.finditer(text):
            start, stop = found.span(found.lastindex or 0)
            yield places[start], places[stop]
        if depth == _MAX_ENCODING or not _ESCAPE.search(text):
            return
        text, places = _decoded(text, places)


def _decoded(text: str, places: Sequence[int]) -> tuple[str, array[int]]:
    """Undo one encoding; `places` tells for each character, and for the end, where it stood in the beginning."""
    parts, kept, end = list[str](), array("Q"), 0
    for found in _ESCAPE.finditer(text):
        parts += text[end : found.start()], _character(found)
        kept.extend(places[end : found.start() + 1])
        end = found.end()
    kept.extend(places[end:])
    return "".join((*parts, text[end:])), kept


def _character(found: re.Match[str]) -> str:
    percent, unicode, itself = found.groups()
    return itself or chr(int(percent or unicode, 16))
