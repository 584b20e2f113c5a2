"""The pytest plugin `viralsync`: an isolated API for each test. Nothing is autouse.

pytest loads this module in every run of every project that has the kit installed: everything else is
imported inside the fixtures.
"""

from __future__ import annotations

import logging
import os
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from viralsync_mock.pytest_plugin import reporting

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from viralsync_mock.client import Sandbox, SandboxFactory
    from viralsync_mock.server import BackgroundServer
    from viralsync_mock.settings import Settings
    from viralsync_mock.testing import WebhookReceiver

INI = (
    ("scenario", "a shipped scenario by name, or a scenario file"),
    ("plan", "the plan of the account"),
    ("clock", "auto, jump, frozen, real or scaled"),
    ("seed", "the same seed, the same answers"),
    ("behaviour", "a behaviour profile: a file"),
    ("sleeps", "virtual: the test's process sleeps on the sandbox's clock"),
    ("exempt", "modules and packages that sleep in real time all the same"),
    ("state", "a saved state by name, or its file, that the sandbox begins with"),
    ("strict", "true: a test fails when the API does not know or rejects one of its calls"),
    (
        "well_behaved",
        "true: a test fails when its client fails a rule of the verdict; decided: also for inconclusive ones",
    ),
)
"""The options that an ini file may give; each also has a variable, VIRALSYNC_MOCK_<NAME>."""

MARKER = (
    "viralsync(scenario=..., plan=..., clock=..., seed=..., behaviour=..., strict=..., well_behaved=..., sleeps=..., "
    "exempt=..., state=...): "
    "options of the test's sandbox of the ViralSync mock; nearer markers win, option by option."
)


class Hooks:
    """The hook that the plugin offers."""

    @staticmethod
    @pytest.hookspec
    def pytest_viralsync_closing(config: pytest.Config, sandbox: Sandbox, nodeid: str) -> None:
        """Called with a sandbox just before it is dropped; `nodeid` is its test's, or names the factory call."""


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Offer the hook."""
    pluginmanager.add_hookspecs(Hooks)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the command line and of the ini file."""
    group = parser.getgroup("viralsync", "ViralSync mock")
    reporting.add_options(parser, group)
    for name, text in INI:
        parser.addini(f"viralsync_{name}", f"of each sandbox: {text}", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker and the reports that were asked for."""
    config.addinivalue_line("markers", MARKER)
    reporting.configure(config)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Show what has happened in the sandbox beside a test that failed."""
    report = yield
    sandbox = getattr(item, "funcargs", {}).get("viralsync")
    if report.failed and call.when == "call" and sandbox is not None:
        from viralsync_mock.pytest_plugin.failures import describe

        with suppress(Exception):  # the mock cannot be reached: the test's own failure says more
            report.sections.append(("viralsync", describe(sandbox)))
    return report


@pytest.fixture(scope="session")
def viralsync_settings() -> Settings:
    """How the mock is started: override it to return other `viralsync_mock.settings.Settings`. The clock is `auto`."""
    from viralsync_mock.clock import Mode
    from viralsync_mock.settings import Settings

    return Settings(clock=Mode.AUTO)


@pytest.fixture(scope="session")
def viralsync_server(pytestconfig: pytest.Config, viralsync_settings: Settings) -> Iterator[BackgroundServer]:
    """A running ViralSync mock on a free port, one for the whole run; `base_url` says where."""
    from dataclasses import replace

    from viralsync_mock.app import create_app
    from viralsync_mock.pytest_plugin.sandboxes import fail_without_traceback, refuse_blocked_sockets
    from viralsync_mock.server import BackgroundServer

    with fail_without_traceback():
        refuse_blocked_sockets()
        mutant = os.environ.get("VIRALSYNC_MOCK_MUTANT") or None  # for `viralsync-mock challenge`
        app = create_app(replace(viralsync_settings, mutant=mutant) if mutant else viralsync_settings)
    app.mock.on_bug = _log_bug
    waits, monotonic = pytestconfig.stash[reporting.WAITS], viralsync_settings.real.monotonic
    app.mock.on_call = lambda entry, _: waits.record(entry.key, monotonic())
    with BackgroundServer(app) as server:
        yield server


def _log_bug(where: str, error: BaseException) -> None:
    """Log a bug of the mock, which pytest shows with the failure."""
    logging.getLogger("viralsync").error("a bug of the mock: %s", where, exc_info=error)


@pytest.fixture
def viralsync(
    request: pytest.FixtureRequest, viralsync_server: BackgroundServer, viralsync_settings: Settings
) -> Iterator[Sandbox]:
    """An API of the test's own: a fresh `viralsync_mock.Sandbox`, whose `base_url` and `api_key` are also in
    VIRALSYNC_BASE_URL and VIRALSYNC_API_KEY while the test runs. Options: `@pytest.mark.viralsync(...)`.
    """
    from viralsync_mock.client import environment
    from viralsync_mock.pytest_plugin.failures import why_no_webhook
    from viralsync_mock.pytest_plugin.sandboxes import for_test

    # a receiver has to outlive what sends to it
    has_receiver = "viralsync_webhooks" in request.fixturenames
    receiver = request.getfixturevalue("viralsync_webhooks") if has_receiver else None
    with ExitStack() as stack:
        sandbox = stack.enter_context(for_test(request.node, viralsync_server, viralsync_settings))
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in environment(sandbox).items():
            patch.setenv(name, value)
        if receiver is not None:
            receiver.hint = partial(why_no_webhook, sandbox)
        yield sandbox


@pytest.fixture(scope="session")
def make_viralsync(
    request: pytest.FixtureRequest, viralsync_server: BackgroundServer, viralsync_settings: Settings
) -> Iterator[SandboxFactory]:
    """Call it as `make_viralsync(name=None, **options)` for a further sandbox: for fixtures of other scopes, and for
    several accounts in one test. All are dropped at the end of the run.
    """
    from viralsync_mock.pytest_plugin.sandboxes import SandboxMaker

    factory = SandboxMaker(request.config, viralsync_server, viralsync_settings)
    yield factory
    factory.close()


@pytest.fixture
def viralsync_webhooks(request: pytest.FixtureRequest, viralsync_settings: Settings) -> Iterator[WebhookReceiver]:
    """A receiver of webhooks: pass its `url` as `callbackUrl`. It checks signatures and can wait, refuse and stall."""
    from viralsync_mock.pytest_plugin.options import options_of_test
    from viralsync_mock.pytest_plugin.sandboxes import fail_without_traceback
    from viralsync_mock.testing import WebhookReceiver

    with fail_without_traceback():
        receiver = WebhookReceiver(options_of_test(request.node).secret(viralsync_settings))
    with receiver:
        yield receiver
