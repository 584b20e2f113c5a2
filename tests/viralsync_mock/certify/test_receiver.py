"""The receiver that passes webhooks on."""

from __future__ import annotations

import httpx
import pytest
from pytest_httpserver import HTTPServer

from viralsync_mock.certify.receiver import Receiver, check_callback, free_port
from viralsync_mock.errors import SettingsError


def test_a_webhook_is_passed_on_byte_by_byte_and_so_is_the_response(httpserver: HTTPServer) -> None:
    """The signature is over the bytes, and the mock judges the client's own status."""
    httpserver.expect_request("/hooks", query_string="a=1", method="POST").respond_with_data("no", status=418)
    with Receiver(httpserver.url_for("/hooks?a=1")) as receiver, receiver.line("one") as line:
        response = httpx.post(line.url, content=b'{"a": 1 }', headers={"x-render-signature": "abc"})
    (request, _) = httpserver.log[0]
    assert (response.status_code, response.text) == (418, "no")
    assert (request.get_data(), request.headers["x-render-signature"]) == (b'{"a": 1 }', "abc")
    assert line.received == 1


def test_without_a_client_to_pass_on_to_it_answers_itself() -> None:
    """A client that only polls may still send a callbackUrl."""
    with Receiver(None) as receiver, receiver.line("one") as line:
        assert httpx.post(line.url, content=b"{}").status_code == 200
        assert line.target is None


def test_a_client_whose_receiver_has_gone_is_not_given_an_answer_of_ours() -> None:
    """A program may end while a webhook is under way: that is no answer, and no fault."""
    with Receiver("http://127.0.0.1:{port}/") as receiver, receiver.line("one") as line:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(line.url, content=b"{}", timeout=0.3)
        assert line.target == f"http://127.0.0.1:{line.port}/"


def test_a_line_that_is_closed_takes_nothing() -> None:
    """A webhook that comes late finds nobody."""
    with Receiver(None) as receiver:
        with receiver.line("one") as line:
            pass
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.post(line.url, content=b"{}")


def test_the_target_is_a_url() -> None:
    """`{port}` may stand for the port."""
    assert check_callback("http://localhost:{port}/x") == "http://localhost:{port}/x"
    assert check_callback(None) is None
    for url in ("localhost:3000", "ftp://localhost/", "http://"):
        with pytest.raises(SettingsError, match="--callback-to"):
            check_callback(url)
    assert free_port() > 0
