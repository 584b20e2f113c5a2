"""The sandboxes of a test run: opened with their options, judged and dropped at the end."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from viralsync_mock.client import Sandbox
from viralsync_mock.errors import ControlError, SettingsError, UsageError
from viralsync_mock.pytest_plugin.options import Options, options_of_call, options_of_test
from viralsync_mock.pytest_plugin.strictness import format_calls, invalid_calls
from viralsync_mock.randomness import hexadecimal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Protocol

    from viralsync_mock.settings import Settings

    class Server(Protocol):
        """Where a mock is reached."""

        base_url: str


class SandboxOpener:
    """Opens sandboxes on one mock."""

    def __init__(self, config: pytest.Config, server: Server, settings: Settings) -> None:
        self._config, self._server, self._settings = config, server, settings

    def sandbox(self, *purpose: object) -> Sandbox:
        """Return the sandbox of a key that depends on nothing but the purpose."""
        key = f"vs_prod_{hexadecimal('pytest', *purpose, length=32)}"
        return Sandbox(self._server.base_url, key, control_token=self._settings.control_token)

    def open(self, sandbox: Sandbox, options: Options) -> None:
        """Begin a sandbox anew; closes it and raises SettingsError that says who gave what the mock refuses."""
        try:
            sandbox.open(**options.document)
        except ControlError as refusal:
            sandbox.close()
            raise SettingsError(options.explained(refusal, self._settings.spec)) from None

    def finish(self, sandbox: Sandbox, options: Options, name: str) -> None:
        """Show the sandbox to whoever wants to see it and drop it; fails for a call that breaks the spec, if strict."""
        with ExitStack() as ending:
            ending.callback(sandbox.close)
            ending.callback(sandbox.reset)
            self._config.hook.pytest_viralsync_closing(config=self._config, sandbox=sandbox, nodeid=name)
            broken = invalid_calls(sandbox) if options.is_strict else []
            text = format_calls(broken)
        if broken:
            pytest.fail(text, pytrace=False)


@contextmanager
def for_test(item: pytest.Item, server: Server, settings: Settings) -> Iterator[Sandbox]:
    """Give a test its sandbox; the test fails where the sandbox cannot be had."""
    opening = SandboxOpener(item.config, server, settings)
    with fail_without_traceback():
        options = options_of_test(item)
        sandbox = opening.sandbox(item.nodeid)
        opening.open(sandbox, options)
    yield sandbox
    opening.finish(sandbox, options, item.nodeid)


@contextmanager
def fail_without_traceback() -> Iterator[None]:
    """Let a test fail with what is wrong, without a traceback of the kit."""
    try:
        yield
    except UsageError as problem:
        raise pytest.fail.Exception(f"viralsync: {problem}", pytrace=False) from None


class SandboxFactory:
    """Makes sandboxes of any scope: what the fixture `make_viralsync` gives."""

    def __init__(self, config: pytest.Config, server: Server, settings: Settings) -> None:
        self._config, self._opening = config, SandboxOpener(config, server, settings)
        self._names: Counter[str] = Counter()
        self._made = ExitStack()

    def __call__(self, name: str | None = None, **options: Any) -> Sandbox:
        """Return a new sandbox, whose key depends on its name and how often the name was used before.

        Raises SettingsError for an option that does not exist or has a wrong value.
        """
        __tracebackhide__ = True
        try:
            return self._make(name or "sandbox", options)
        except UsageError as problem:
            raise SettingsError(str(problem)) from None  # from here: the traceback ends in the test

    def _make(self, title: str, options: Mapping[str, Any]) -> Sandbox:
        chosen = options_of_call(self._config, options)
        self._names[title] += 1
        purpose = ("make_viralsync", title, self._names[title])
        sandbox = self._opening.sandbox(*purpose)
        self._opening.open(sandbox, chosen)
        self._made.callback(self._finish, purpose, chosen, f"make_viralsync({title!r})")
        self._made.callback(sandbox.close)
        return sandbox

    def _finish(self, purpose: tuple[object, ...], options: Options, name: str) -> None:
        """End it through a client of its own: a test may have closed the other."""
        self._opening.finish(self._opening.sandbox(*purpose), options, name)

    def close(self) -> None:
        """Judge and drop all, those made last first."""
        self._made.close()
