"""The API key of a request (docs page /getting-started/authentication): `x-api-key`, or a bearer token."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from viralsync_mock.errors import ApiError

if TYPE_CHECKING:
    import re
    from collections.abc import Mapping

KEY_HEADER = b"x-api-key"
"""Where keys are sent unless the spec names another header."""


def require_api_key(headers: Mapping[bytes, bytes], pattern: re.Pattern[str], header: bytes = KEY_HEADER) -> str | None:
    """Return the well-formed key that the headers hold, or None when they hold none; raises UNAUTHORIZED."""
    key = read_api_key(headers, header)
    if key is not None:
        check_key_format(key, pattern)
    return key


def read_api_key(headers: Mapping[bytes, bytes], header: bytes = KEY_HEADER) -> str | None:
    """Return the key that the headers hold, of whatever form, or None when they hold none.

    Beside `x-api-key` another scheme than bearer is ignored: clients add `Basic` by themselves, from a `.netrc`.
    Raises UNAUTHORIZED for two keys that differ, and for another scheme alone.
    """
    key, authorization = headers.get(header), headers.get(b"authorization")
    if authorization is not None:
        bearer = _bearer(authorization)
        if key is None and bearer is None:
            raise ApiError("UNAUTHORIZED", reason="Authorization holds no bearer token")
        if key is not None and bearer not in (None, key):
            name = header.decode("latin-1")
            raise ApiError("UNAUTHORIZED", reason=f"{name} and Authorization hold two different API keys")
        key = key if bearer is None else bearer
    return None if key is None else key.decode("latin-1")


def raise_unauthorized(
    headers: Mapping[bytes, bytes], pattern: re.Pattern[str], header: bytes = KEY_HEADER
) -> NoReturn:
    """Raise UNAUTHORIZED with what is wrong with the key, or that there is none."""
    if (key := read_api_key(headers, header)) is not None:
        check_key_format(key, pattern)
    raise ApiError("UNAUTHORIZED", reason=no_key(header))


def no_key(header: bytes = KEY_HEADER) -> str:
    """Return the reason for refusing a request without a key."""
    return f"no API key was sent: send it as {header.decode('latin-1')}, or as Authorization: Bearer"


def check_key_format(key: str, pattern: re.Pattern[str]) -> None:
    """Raise UNAUTHORIZED for a key of another form; the text never repeats the key."""
    if not pattern.fullmatch(key):
        reason = f"expected an API key of the form {pattern.pattern}, got {len(key)} characters of another form"
        raise ApiError("UNAUTHORIZED", reason=reason)


def _bearer(header: bytes) -> bytes | None:
    scheme, _, token = header.partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" else None
