"""Verifies signatures, for receivers of webhooks in tests and applications. It needs the standard library only."""

from __future__ import annotations

import base64
import hashlib
import hmac

from viralsync_mock.errors import UsageError


def verify_signature(body: bytes, header: str | None, secret: str) -> bool:
    """Say whether `x-render-signature` is the signature of exactly these bytes, in constant time.

    It may have any form of the switch `webhook.signature`: hexadecimal, `sha256=` and hexadecimal, or Base64. A missing
    header is no signature. Raises UsageError for an empty secret, which would prove nothing.
    """
    if not secret:
        raise UsageError("the secret of the webhooks is empty: give the one that they are signed with")
    digest = hmac.digest(secret.encode(), body, hashlib.sha256)
    hexadecimal = digest.hex().encode()
    forms = (hexadecimal, b"sha256=" + hexadecimal, base64.b64encode(digest))
    sent = (header or "").encode("utf-8", "replace")
    return any([hmac.compare_digest(form, sent) for form in forms])  # noqa: C419 - a list: each is compared, always
