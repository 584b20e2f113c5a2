"""The files of the page over HTTP: who gets them, with which headers, and how small they are."""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx
import pytest
from tests.conftest import LiveServer

from viralsync_mock import ui
from viralsync_mock.settings import Settings

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
StartMock = Callable[[Settings], LiveServer]


def get(server: LiveServer, path: str, **headers: str) -> httpx.Response:
    return httpx.get(f"{server.base_url}{path}", headers=headers)


def test_the_page_is_small() -> None:
    """All files together, as they are sent."""
    assert sum(map(len, ui.files().values())) <= 100_000


def test_the_page_loads_nothing_from_elsewhere() -> None:
    """It works without a network: no address but those of namespaces and examples."""
    texts = [content.decode() for content in ui.files().values()]
    found = {url for text in texts for url in re.findall(r"https?://[a-z0-9.]+", text)}
    assert found <= {"http://www.w3.org", "http://inbox.localhost"}


def test_no_script_parses_markup() -> None:
    """What a client or a target sent is text: no function that reads HTML is called, no script or style is inline."""
    for name, content in ui.files().items():
        text = content.decode()
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text), (
            name
        )
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=\"", text), name


@pytest.mark.parametrize("name", ["", "/index.html", "/app.js", "/style.css", "/spec.html"])
def test_every_file_has_the_strict_policy(live_server: LiveServer, name: str) -> None:
    """Scripts, styles and connections of the mock only; no frame around it."""
    response = get(live_server, f"{ui.PREFIX}{name}")
    policy = response.headers["content-security-policy"]
    assert (response.status_code, policy) == (200, ui.POLICY)
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'")


@pytest.mark.parametrize("name", ["nothing.js", "__init__.py", "../control/app.py", "%2e%2e/app.py", "..%2fapp.py"])
def test_no_other_file_is_served(live_server: LiveServer, name: str) -> None:
    """Only the files of the page, by their names."""
    assert get(live_server, f"{ui.PREFIX}/{name}").status_code == 404


def test_a_slash_at_the_end_leads_to_the_page(live_server: LiveServer) -> None:
    """The scripts' addresses are relative to the page without one."""
    assert get(live_server, f"{ui.PREFIX}/").headers["location"] == ui.PREFIX


def test_the_root_is_a_page_for_browsers_only(live_server: LiveServer) -> None:
    """Other clients get what the API answers at a path that it does not have."""
    assert "<title>ViralSync mock</title>" in get(live_server, "/", **BROWSER).text
    refused = get(live_server, "/")
    assert (refused.status_code, refused.json()["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize("header", ["host", "origin"])
def test_other_machines_and_pages_are_refused(live_server: LiveServer, header: str) -> None:
    """The guards of the control API."""
    assert (
        get(live_server, ui.PREFIX, **{header: "http://evil.example" if header == "origin" else header}).status_code
        == 403
    )


def test_a_token_protects_what_the_page_shows_not_the_page(start_mock: StartMock) -> None:
    """A browser that opens the page cannot send a header; the page has no secret, and asks for the token."""
    server = start_mock(Settings(control_token="t0ken"))
    assert get(server, ui.PREFIX).status_code == 200
    assert get(server, "/__mock/spec").status_code == 403
    assert get(server, "/__mock/uix").status_code == 403


def test_without_control_there_is_no_page(start_mock: StartMock) -> None:
    """`--no-control` takes it away too."""
    server = start_mock(Settings(control=False))
    assert get(server, ui.PREFIX, **BROWSER).status_code == 404
    assert get(server, "/", **BROWSER).json()["code"] == "NOT_FOUND"
