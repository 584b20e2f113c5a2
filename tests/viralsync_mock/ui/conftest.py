"""A real browser: the distribution's Chromium, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.conftest import LiveServer, movie

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")
WATCH = """
window.broken = [];
document.addEventListener("securitypolicyviolation", (e) => broken.push(`${e.violatedDirective} ${e.blockedURI}`));
window.tasks = [];
new PerformanceObserver((list) => { for (const e of list.getEntries()) tasks.push(e.duration); })
  .observe({ entryTypes: ["longtask"] });
"""


@pytest.fixture(scope="module")  # while it is open, a loop runs in this thread: asynchronous tests could not
def browser() -> Iterator[Browser]:
    """Yield the browser; skips where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install '.[dev]'")
    if not CHROMIUM:
        pytest.skip("needs chromium: apt-get install chromium")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@dataclass
class Visitor:
    """Somebody with a browser window, and the sandbox that the page shows."""

    server: LiveServer
    context: BrowserContext
    key: str
    problems: list[str] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.context.add_init_script(WATCH)
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(20_000)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", lambda each: self.problems.append(each.text) if each.type == "error" else None)
        self.page.on("request", lambda request: self.urls.append(request.url))
        self.api = httpx.Client(base_url=self.server.base_url, headers={"x-api-key": self.key}, timeout=30)

    def open(self, screen: str = "time", **more: str) -> Page:
        """Show a screen, and return the page once it is live."""
        rest = "".join(f"&{name}={value}" for name, value in {"screen": screen, **more}.items())
        self.page.goto(f"{self.server.base_url}/__mock/ui#key={self.key}{rest}")
        self.page.locator("#link.open").wait_for()
        return self.page

    def submit(self, **changes: Any) -> str:
        """Submit the usual movie as the code under test would; return the id of the job."""
        response = self.api.post("/v1/render/jobs", json=movie(**changes))
        assert response.status_code == 202, response.text
        return str(response.json()["jobId"])

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """Call the control API."""
        response = self.api.request(method, f"/__mock{path}", json=body)
        assert response.is_success, response.text
        return response.json()

    def text(self, selector: str) -> str:
        """Return the text of the first such element."""
        return self.page.locator(selector).first.inner_text()

    def leave(self) -> None:
        """Close the window, and look at what went wrong in it: the content security policy, the key in URLs."""
        violations = self.page.evaluate("window.broken || []")
        self.api.close()
        self.context.close()
        assert violations == []
        assert not [url for url in self.urls if self.key in url.partition("#")[0]]


@pytest.fixture
def visit(browser: Browser, live_server: LiveServer) -> Iterator[Any]:
    """Yield a function that opens a window; each has a sandbox of its own on a frozen clock."""
    open_windows: list[Visitor] = []

    def start(server: LiveServer = live_server, *, key: str | None = None, **options: Any) -> Visitor:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 860}, **options})
        open_windows.append(Visitor(server, context, key or server.new_key(clock="frozen")))
        return open_windows[-1]

    yield start
    for each in open_windows:
        each.leave()


@pytest.fixture
def visitor(visit: Any) -> Iterator[Visitor]:
    """Yield a visitor in whose window no script may fail."""
    visitor = visit()
    yield visitor
    assert visitor.problems == []
