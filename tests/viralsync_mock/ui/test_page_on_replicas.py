"""The page behind a proxy with two replicas: it stays on its sandbox when the owner is killed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.viralsync_mock.state.test_replicas import SERVER, place, proxy, redis_port, replicas, through

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ("place", "redis_port")

pytestmark = [
    pytest.mark.needs_chromium,
    pytest.mark.slow,
    pytest.mark.skipif(not SERVER, reason="needs redis-server or valkey-server"),
]


@pytest.mark.parametrize("kind", ["nginx", "haproxy"])
def test_the_page_finds_the_next_owner_by_itself(browser: Browser, place: str, kind: str, tmp_path: Path) -> None:
    """Nothing is refused meanwhile, the list stays, and new calls appear."""
    from playwright.sync_api import expect

    key = "vs_prod_" + "5" * 32
    with replicas(place, "--frozen") as mocks, proxy(kind, mocks, tmp_path) as url, through(url, key) as client:
        page = browser.new_page()
        page.goto(f"{url}/__mock/ui#key={key}&screen=calls")
        page.locator("#link.open").wait_for()
        client.get("/v1/me")
        expect(page.locator(".count")).to_have_text("1 of 1")
        for mock in mocks:
            if httpx.get(f"{mock.url}/__mock/clock", headers=client.headers).status_code == 200:
                mock.kill()
                break
        expect(page.locator("#link")).to_have_text("reconnecting …")
        expect(page.locator("#link")).to_have_text("live", timeout=30_000)
        client.get("/v1/me")
        expect(page.locator(".count")).to_have_text("2 of 2")
        page.close()
