"""The page with many calls and jobs, over a restart of the server, with a token, and held against axe's rules."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from tests.conftest import LiveServer, movie
from tests.support.paths import ROOT

from viralsync_mock.app import create_app
from viralsync_mock.clock import Mode
from viralsync_mock.server import BackgroundServer, Binding
from viralsync_mock.settings import Settings

pytestmark = [pytest.mark.needs_chromium, pytest.mark.slow]
playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install '.[dev]'")
expect = playwright.expect

SCREENS = ("time", "jobs", "calls", "faults", "webhooks", "account", "sandboxes", "verdict")
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
CALLS, JOBS = 10_000, 1_000
LONG_TASK = 50.0
"""Milliseconds for which the page may not answer."""


def storm(url: str, key: str, calls: int, jobs: int) -> None:
    """Make many calls, some of them submissions, as fast as the mock answers."""

    async def run() -> None:
        limits = httpx.Limits(max_connections=8)
        async with httpx.AsyncClient(base_url=url, headers={"x-api-key": key}, limits=limits, timeout=60) as client:
            lock = asyncio.Semaphore(8)

            async def call(number: int) -> None:
                async with lock:
                    if number < jobs:
                        await client.post("/v1/render/jobs", json=movie())
                    else:
                        await client.get(f"/v1/jobs/job_{number:012}")

            await asyncio.gather(*map(call, range(calls)))

    with ThreadPoolExecutor(1) as thread:  # Playwright's own loop runs in this one
        thread.submit(lambda: asyncio.run(run())).result()


def longest_task(trace: bytes) -> float:
    """Return the milliseconds of CPU of the longest task on the page's main thread: a busy machine does not count."""
    events = json.loads(trace)["traceEvents"]
    main = {(e["pid"], e["tid"]) for e in events if e.get("args", {}).get("name") == "CrRendererMain"}
    tasks = [e for e in events if e["name"].endswith("RunTask") and (e["pid"], e["tid"]) in main]
    assert tasks, "the trace has no tasks"
    return max(float(e.get("tdur", e.get("dur", 0))) for e in tasks) / 1000


def test_ten_thousand_calls_and_a_thousand_jobs_drop_no_frame(
    visit: Any, browser: Any, start_mock: Callable[[Settings], LiveServer]
) -> None:
    """While they come, and while they are filtered, scrolled and looked at in the past, no task is long."""
    server = start_mock(Settings(clock=Mode.FROZEN, is_rate_limited=False, scenario="enterprise", journal_size=CALLS))
    visitor = visit(server, key="vs_prod_" + "5" * 32)
    page = visitor.open("calls")
    browser.start_tracing(page=page, categories=["toplevel"])
    storm(server.base_url, visitor.key, CALLS, JOBS)
    expect(page.locator(".count")).to_have_text(f"{CALLS} of {CALLS}", timeout=120_000)
    page.get_by_label("Filter calls").fill(f"job_{CALLS - 1:012}")
    expect(page.locator(".count")).to_have_text(f"1 of {CALLS}")
    page.get_by_label("Filter calls").fill("")
    expect(page.locator(".count")).to_have_text(f"{CALLS} of {CALLS}")
    page.locator(".rows").evaluate("(rows) => { rows.scrollTop = rows.scrollHeight / 2; }")
    assert page.locator(".rows .tr").count() < 80
    page.get_by_role("link", name="Jobs", exact=True).click()
    expect(page.locator(".count")).to_have_text(f"{JOBS} of {JOBS}")
    page.locator(".rows").evaluate("(rows) => { rows.scrollTop = rows.scrollHeight / 2; }")
    page.get_by_role("button", name="+30 s").click()
    expect(page.locator(".now")).to_have_text("00:00:30.000", timeout=60_000)
    page.get_by_label("Look at the past").fill("100")
    expect(page.locator(".now")).to_have_text("00:00:03.000")
    page.get_by_role("link", name="Time", exact=True).click()
    expect(page.locator(".overview li").first).to_be_visible()
    assert longest_task(browser.stop_tracing()) <= LONG_TASK


def test_a_server_that_restarts_is_found_again(visit: Any) -> None:
    """The page says that it has lost the mock, comes back by itself, and shows the new state."""
    settings = Settings(clock=Mode.FROZEN)
    first = BackgroundServer(create_app(settings)).start()
    port = int(first.base_url.rpartition(":")[2])
    visitor = visit(LiveServer(create_app(settings), first.base_url), key="vs_prod_" + "6" * 32)
    visitor.submit()
    page = visitor.open("jobs")
    expect(page.locator(".count")).to_have_text("1 of 1")
    first.stop()
    expect(page.locator("#link")).to_have_text("reconnecting …")
    with BackgroundServer(create_app(settings), Binding(port=port)):
        expect(page.locator("#link")).to_have_text("live", timeout=20_000)
        expect(page.locator(".count")).to_have_text("0 of 0")
        visitor.submit()
        expect(page.locator(".count")).to_have_text("1 of 1")


def test_the_page_takes_a_token(visit: Any, start_mock: Callable[[Settings], LiveServer]) -> None:
    """In the fragment too; a wrong one is refused in words."""
    server = start_mock(Settings(clock=Mode.FROZEN, control_token="t0ken"))
    visitor = visit(server, key="vs_prod_" + "7" * 32)
    page = visitor.open("account", token="t0ken")
    expect(page.locator(".gauge").first).to_be_visible()
    page.goto("about:blank")
    page.goto(f"{server.base_url}/__mock/ui#key={visitor.key}&token=wrong")
    expect(page.locator("main .problem")).to_contain_text("--control-token")
    assert not [url for url in visitor.urls if "t0ken" in url.partition("#")[0]]


def test_the_welcome_page_of_a_mock_with_a_token_says_where_to_enter_it(
    visit: Any, start_mock: Callable[[Settings], LiveServer]
) -> None:
    """It cannot read the form of a key; it shows no empty key and no empty lines to copy."""
    visitor = visit(start_mock(Settings(control_token="t0ken")))
    page = visitor.page
    page.goto(f"{visitor.server.base_url}/")
    expect(page.locator("main")).to_contain_text("Its page asks for the control token")
    expect(page.locator("#key, #curl, main button")).to_have_count(0)
    page.locator("#ui").click()
    expect(page.locator("#token")).to_be_visible()


def test_the_rendered_spec_of_a_mock_with_a_token_asks_for_it(
    visit: Any, start_mock: Callable[[Settings], LiveServer]
) -> None:
    """A wrong one is refused in words, and may be typed again; it holds for the control API's document too."""
    visitor = visit(start_mock(Settings(control_token="t0ken")))
    page = visitor.page
    page.goto(f"{visitor.server.base_url}/__mock/ui/spec.html")
    for token in ("wrong", "t0ken"):
        expect(page.locator("main .problem")).to_contain_text("--control-token")
        page.get_by_label("Control token").fill(token)
        page.get_by_role("button", name="Open").click()
    expect(page.locator("#getMe")).to_be_visible()
    page.get_by_role("link", name="The control API").click()
    expect(page.locator("#streamEvents")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", [*SCREENS, "welcome", "spec"])
def test_axe_finds_nothing(visit: Any, scheme: str, screen: str) -> None:
    """Names, roles, contrast, landmarks, in both colour schemes."""
    if not AXE.exists():
        pytest.skip("axe-core is not installed: run npm ci")
    visitor = visit(color_scheme=scheme, bypass_csp=True)
    job_id = visitor.submit(callbackUrl="http://inbox.localhost/hook")
    call = visitor.api.post("/v1/render/jobs", json=movie(kind="film")).headers["x-mock-call-id"]
    visitor.control("PUT", "/faults", {"faults": [{"fault": {"status": 503}, "times": 1}]})
    page = visitor.open(screen)
    visitor.control("POST", "/clock/advance", {"seconds": 7})
    if screen in ("welcome", "spec"):
        page.goto(f"{visitor.server.base_url}{'/' if screen == 'welcome' else '/__mock/ui/spec.html'}")
    elif screen in ("jobs", "calls", "webhooks"):
        visitor.open(screen, id={"jobs": job_id, "calls": call, "webhooks": "delivery_1"}[screen])
        expect(page.locator(".detail h3")).to_be_visible()
    expect(page.locator("main h2").first).to_be_attached()
    for summary in page.locator("summary").all()[:4]:
        summary.click()
    page.add_script_tag(path=AXE)
    found = page.evaluate("axe.run().then((r) => r.violations.map((v) => [v.id, v.nodes.map((n) => n.html)]))")
    assert found == [], json.dumps(found, indent=1)[:3000]
