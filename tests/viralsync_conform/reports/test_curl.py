"""The command that repeats a call, as a shell reads it."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from tests.support.results import call

from viralsync_conform.reports.har import curl

BASE = "https://api.viralsync.io"


def words(**rest: Any) -> list[str]:
    """Return the words of the command after `curl -sS`."""
    found = shlex.split(curl(call(1, rest.pop("operation", "getJob"), **rest), BASE).replace("\\\n", ""))
    assert found[:2] == ["curl", "-sS"]
    return found[2:]


def test_a_poll_is_a_url_and_the_key() -> None:
    """The shell fills the key in."""
    command = curl(call(1), BASE)
    assert command == f'curl -sS {BASE}/v1/jobs/job_0123456789ab \\\n  -H "x-api-key: $VIRALSYNC_API_KEY"'


@pytest.mark.parametrize("body", [b'{"a": "it\'s $HOME `id` \\"x\\" \\n"}', b"!x\n@file", "é".encode(), b"'"])
def test_a_body_reaches_the_server_as_it_was(body: bytes) -> None:
    """Quotes, dollars, backticks and breaks are the shell's no more."""
    found = words(method="POST", request_body=body, request_headers=(("content-type", "application/json"),))
    assert found[-2:] == ["--data-raw", body.decode()]
    assert found[:2] == ["-X", "POST"]


@pytest.mark.parametrize("body", [b"\xff", b"a\0b"])
def test_a_body_that_is_no_text_is_read_from_a_file(body: bytes) -> None:
    """No command line can hold it."""
    assert words(method="POST", request_body=body)[-2:] == ["--data-binary", "@body"]


def test_a_body_without_media_type_is_sent_without_one() -> None:
    """Or curl would add its own."""
    found = words(method="POST", request_body=b"{}", request_headers=())
    assert found[-4:-2] == ["-H", "content-type:"]


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ((("authorization", "***"),), ["-H", "authorization: Bearer $VIRALSYNC_API_KEY"]),
        ((), []),
        ((("Last-Event-ID", "a'b; rm -rf /"), ("host", "x")), ["-H", "Last-Event-ID: a'b; rm -rf /"]),
        ((("x-empty", ""),), ["-H", "x-empty;"]),
    ],
)
def test_headers_are_those_that_were_sent(headers: tuple[tuple[str, str], ...], told: list[str]) -> None:
    """Without what curl sends by itself, and with the key the way it was given."""
    assert words(request_headers=headers)[1:] == told


@pytest.mark.parametrize(
    ("rest", "way"),
    [
        ({"operation": "streamJobProgress"}, "-N"),
        ({"method": "HEAD"}, "--head"),
        ({"url": "/v1/jobs/{x}"}, "--globoff"),
        ({"url": "/v1/../jobs"}, "--path-as-is"),
    ],
)
def test_curl_changes_nothing_by_itself(rest: dict[str, Any], way: str) -> None:
    """Streams are shown as they come, and paths are sent as they are."""
    assert way in words(**rest)
