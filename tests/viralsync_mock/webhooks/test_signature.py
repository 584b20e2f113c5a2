"""Whether a webhook is genuine, in each way that a signature may be written."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viralsync_mock.errors import UsageError
from viralsync_mock.testing import verify_signature
from viralsync_mock.webhooks.payload import sign

SECRET = "whsec_of_my_tests"
FORMS = ["hex", "sha256=hex", "base64"]


@pytest.mark.parametrize("form", FORMS)
@given(body=st.binary(), secret=st.text(min_size=1).filter(lambda text: text.isprintable()))
def test_what_the_mock_signs_is_genuine(form: str, body: bytes, secret: str) -> None:
    """In every position of the switch `webhook.signature`, whatever body and secret are."""
    assert verify_signature(body, sign(body, secret, form), secret)


@pytest.mark.parametrize("form", FORMS)
def test_another_secret_or_another_body_is_not_genuine(form: str) -> None:
    """Not even when one byte differs."""
    signature = sign(b'{"a": 1}', SECRET, form)
    assert not verify_signature(b'{"a": 1}', signature, SECRET + "x")
    assert not verify_signature(b'{"a":1}', signature, SECRET)


@pytest.mark.parametrize(
    "header", [None, "", "sha256=", "ü" * 64, sign(b"{}", SECRET).upper(), " " + sign(b"{}", SECRET)]
)
def test_what_is_no_signature_is_not_genuine(header: str | None) -> None:
    """A header that is missing, empty, of another alphabet, or written otherwise."""
    assert not verify_signature(b"{}", header, SECRET)


def test_an_empty_secret_proves_nothing() -> None:
    """An application whose secret was forgotten is told so."""
    with pytest.raises(UsageError, match="secret of the webhooks is empty"):
        verify_signature(b"{}", sign(b"{}", ""), "")


@pytest.mark.parametrize("module", ["testing", "webhooks.signature"])
def test_an_application_needs_no_test_library_for_it(module: str) -> None:
    """Importing it loads neither pytest nor pytest-httpserver."""
    program = f"import sys; from viralsync_mock.{module} import verify_signature; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()
    assert {"pytest", "pytest_httpserver", "werkzeug", "httpx", "yaml"} & set(loaded) == set()
