"""Takes the screenshots of docs/ui.md anew: `make screenshots`. Needs Playwright and Chromium."""

from __future__ import annotations

import shutil
from pathlib import Path

import httpx
from playwright.sync_api import Browser, sync_playwright

from viralsync_mock.app import create_app
from viralsync_mock.clock import Mode
from viralsync_mock.server import BackgroundServer
from viralsync_mock.settings import Settings

IMAGES = Path(__file__).with_name("images")
KEY = "vs_prod_" + "d0c5" * 8
DESKTOP, PHONE = {"width": 1180, "height": 760}, {"width": 390, "height": 760}
PAUSE = 700
"""Milliseconds until everything is drawn."""


def prepare(client: httpx.Client) -> dict[str, str]:
    """Make the sandbox that the pictures show; return the ids of a job and of a call."""
    movies = {each["name"]: each["body"] for each in client.get("/__mock/movies").json()["movies"]}
    promo = {**movies["summer-promo"], "callbackUrl": "http://inbox.localhost/hooks"}
    job = client.post("/v1/render/jobs", json=promo).json()["jobId"]
    short = client.post("/v1/render/jobs", json=movies["vertical-short"]).json()["jobId"]
    client.post("/__mock/clock/advance", json={"seconds": 9})
    client.post("/v1/render/jobs", json=movies["one-second"])
    broken = {"kind": "film", "projectId": "proj_demo01", "movie": {"scenes": [{"id": "intro", "duration": -1}]}}
    call = client.post("/v1/render/jobs", json=broken).headers["x-mock-call-id"]
    for path in (f"/v1/jobs/{job}", "/v1/usage", "/v1/jobs/job_unknown"):
        client.get(path)
    failing = {"fault": {"status": 503}, "match": {"operation": "submitRenderJob"}, "times": 2}
    client.put("/__mock/faults", json={"faults": [failing, {"fault": {"latency": "20ms"}, "probability": "50%"}]})
    client.post("/v1/render/jobs", json=movies["one-second"])
    client.patch(f"/__mock/jobs/{short}", json={"status": "failed"})
    client.patch("/__mock/sandbox", json={"name": "checkout tests"})
    return {"jobs": job, "calls": call, "webhooks": "delivery_2"}


def take(browser: Browser, url: str, client: httpx.Client, ids: dict[str, str]) -> None:
    """Take every picture."""
    for name, scheme, size in (
        ("time", "dark", DESKTOP),
        ("jobs", "light", DESKTOP),
        ("calls", "light", DESKTOP),
        ("faults", "dark", DESKTOP),
        ("webhooks", "light", DESKTOP),
        ("jobs", "dark", PHONE),
        ("account", "light", PHONE),
    ):
        page = browser.new_context(viewport=size, color_scheme=scheme).new_page()
        page.goto(f"{url}/__mock/ui#key={KEY}&screen={name}&id={ids.get(name, '')}")
        page.locator("#link.open").wait_for()
        if name == "time":
            client.post("/__mock/clock/advance", json={"seconds": 12})
        page.wait_for_timeout(PAUSE)
        where = "phone-" if size is PHONE else ""
        page.screenshot(path=IMAGES / f"{where}{name}.png")
        page.context.close()


def main() -> None:
    """Start a mock, look at it, and write the pictures."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with BackgroundServer(create_app(Settings(clock=Mode.FROZEN))) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        with httpx.Client(base_url=server.base_url, headers={"x-api-key": KEY}, timeout=30) as client:
            take(browser, server.base_url, client, prepare(client))
        browser.close()


if __name__ == "__main__":
    main()
