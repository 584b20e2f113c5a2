"""One request over HTTP: bounds of its body, and where a redirect may lead."""

from __future__ import annotations

import gzip
from collections.abc import Callable

import httpx2
import pytest
from tests.support.fake_target import Body

from viralsync_conform.target.wire import MAX_READ, MAX_SHORT, MAX_VALUES, Answer, ask, bounded, check_reachable

URL = "http://api.example/v1/me"


def asked(answer: Callable[[httpx2.Request], httpx2.Response], url: str = URL, seconds: float = 30.0) -> Answer:
    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    return ask(http, http.build_request("GET", url, headers={"x-api-key": "secret"}), seconds)


def test_a_body_that_is_too_long_is_cut_and_said_to_be() -> None:
    """Neither an endless body nor one that unpacks to far more than was sent fills the memory."""
    plain = asked(lambda _: httpx2.Response(200, stream=Body(b"x" * (MAX_READ + 1))))
    bomb = gzip.compress(b"\0" * (4 * MAX_READ))
    packed = asked(lambda _: httpx2.Response(200, headers={"content-encoding": "gzip"}, stream=Body(bomb)))
    assert [len(plain.body), len(packed.body)] == [MAX_SHORT, MAX_SHORT]
    assert {plain.problem, packed.problem} == {"the body is longer than 8 MiB"}


@pytest.mark.parametrize(
    ("values", "problem"), [(MAX_VALUES - 1, ""), (MAX_VALUES, "the body has more than 400,000 values")]
)
def test_values_are_bounded_as_bytes_are(values: int, problem: str) -> None:
    """A byte of JSON may cost thirty of memory; a long body with few values is kept whole."""
    content = b"[" + b"," * values + b" " * MAX_SHORT + b"]"
    answer = asked(lambda _: httpx2.Response(200, stream=Body(content)))
    assert (answer.problem, len(answer.body)) == (problem, MAX_SHORT if problem else len(content))


def test_a_packed_body_is_read() -> None:
    """What a proxy has compressed is shown as it was."""
    packed = gzip.compress(b'{"a": 1}')
    answer = asked(lambda _: httpx2.Response(200, headers={"content-encoding": "gzip"}, stream=Body(packed)))
    assert (answer.body, answer.problem) == (b'{"a": 1}', "")


def test_a_body_that_does_not_end_in_time_is_left() -> None:
    """Each chunk may come in time, and the whole may not."""
    answer = asked(lambda _: httpx2.Response(200, stream=Body(b"slow")), seconds=-1.0)
    assert answer.problem == "the body did not end within -1 s"


@pytest.mark.parametrize(
    ("location", "status"),
    [
        ("https://api.example/v1/me", 200),
        ("https://elsewhere.example/v1/me", 308),
        ("http://api.example/v2/me", 308),
        ("https://api.example/v2/me", 308),
    ],
)
def test_a_redirect_is_followed_from_http_to_https_only(location: str, status: int) -> None:
    """The key goes to the same place over TLS, and nowhere else."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        if str(request.url) == URL:
            return httpx2.Response(308, headers={"location": location}, stream=Body(b""))
        return httpx2.Response(200, stream=Body(b"{}"))

    assert asked(answer).status == status


def test_a_stream_without_end_is_cut() -> None:
    """What is read of a stream is bounded too."""
    with pytest.raises(OSError, match="longer than 8 MiB"):
        list(bounded(iter([b"x" * MAX_READ, b"x"])))


def test_a_target_that_answers_slowly_is_there() -> None:
    """Only a connection that cannot be made says that a target is away."""

    def slow(_: httpx2.Request) -> httpx2.Response:
        raise httpx2.ReadTimeout("slow")

    check_reachable(httpx2.Client(transport=httpx2.MockTransport(slow)), "http://api.example")
