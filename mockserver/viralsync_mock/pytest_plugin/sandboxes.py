"""The sandboxes of a test run: opened with their options, checked and dropped at the end."""

from __future__ import annotations

import socket
import sys
import warnings
from collections import Counter
from contextlib import ExitStack, contextmanager
from functools import partial
from inspect import isfunction
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from viralsync_mock.client import Sandbox
from viralsync_mock.errors import ControlError, SettingsError, UsageError
from viralsync_mock.pytest_plugin import reporting
from viralsync_mock.pytest_plugin.failures import unmet_faults
from viralsync_mock.pytest_plugin.options import Options, options_of_call, options_of_test
from viralsync_mock.randomness import hexadecimal
from viralsync_mock.server import BackgroundServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Protocol, Unpack

    from viralsync_mock.client.sandbox import FactoryOptions
    from viralsync_mock.settings import Settings

    class Server(Protocol):
        """Anything with the mock's address."""

        base_url: str


INVALID = frozenset({400, 413, 415})
UNKNOWN = frozenset({404, 405})


class SandboxOpener:
    """Opens and ends sandboxes on one mock."""

    def __init__(self, config: pytest.Config, server: Server, settings: Settings) -> None:
        self._config, self._server, self._settings = config, server, settings

    def sandbox(self, *purpose: object) -> Sandbox:
        """Return the sandbox of a key made from the purpose alone."""
        key = f"vs_prod_{hexadecimal('pytest', *purpose, length=32)}"
        sandbox = Sandbox(self._server.base_url, key, control_token=self._settings.control_token)
        if isinstance(self._server, BackgroundServer):
            sandbox.local_clock = self._server.clock(key)
        return sandbox

    def _is_open(self, sandbox: Sandbox) -> bool:
        """Say whether the mock has the sandbox; True for a mock in another process."""
        if not isinstance(self._server, BackgroundServer):
            return True
        return self._server.mock.sandboxes.get(sandbox.api_key) is not None

    def open(self, sandbox: Sandbox, options: Options) -> None:
        """Open a sandbox; on a refusal closes it and raises SettingsError with the option's origin.

        One without options is opened by the first call that needs it: a test that makes none costs none.
        """
        try:
            if options.state is not None:
                self._restore(sandbox, options.state, options.document.get("clock", self._settings.clock))
            elif options.document or self._is_open(sandbox):
                sandbox.open(**options.document)
        except ControlError as refusal:
            sandbox.close()
            raise SettingsError(options.explained(refusal, self._settings.spec)) from None

    def _restore(self, sandbox: Sandbox, state: Mapping[str, Any], mode: str) -> None:
        """Begin with a saved state, on a clock in this mode."""
        sandbox.restore(state)
        clock = sandbox.clock
        modes = {"frozen": clock.freeze, "auto": clock.auto, "jump": clock.jump, "real": clock.real}
        modes.get(mode, partial(clock.real, self._settings.speed))()

    def finish(self, sandbox: Sandbox, options: Options, name: str) -> None:
        """Run the closing hook and drop the sandbox; fail for calls or a client that the options forbid."""
        with ExitStack() as ending:
            ending.callback(sandbox.close)
            ending.callback(self._drop, sandbox)
            self._config.hook.pytest_viralsync_closing(config=self._config, sandbox=sandbox, nodeid=name)
            is_strict = options.is_strict and self._is_open(sandbox)
            broken = invalid_calls(sandbox) if is_strict else []
            texts = [format_calls(broken)] if broken else []
            if is_strict and (unmet := unmet_faults(sandbox, counted=True)):
                texts.append("\n  ".join(["viralsync, strict: no call has met these armed faults:", *unmet]))
            texts += bad_behaviour(sandbox, options)
        if texts:
            pytest.fail("\n".join(texts), pytrace=False)

    def _drop(self, sandbox: Sandbox) -> None:
        if self._is_open(sandbox):
            sandbox.reset()


def bad_behaviour(sandbox: Sandbox, options: Options) -> list[str]:
    """Return the failure text of the verdict, if the options ask for it."""
    if options.well_behaved is not None:
        try:
            sandbox.assert_well_behaved(**options.well_behaved)
        except (AssertionError, UsageError) as failure:
            return [f"viralsync, well_behaved: {failure}"]
    return []


@contextmanager
def for_test(item: pytest.Item, server: Server, settings: Settings) -> Iterator[Sandbox]:
    """Yield the sandbox of a test; the test fails when it cannot be opened."""
    opening = SandboxOpener(item.config, server, settings)
    with fail_without_traceback():
        refuse_blocked_sockets(server.base_url)
        options = options_of_test(item)
        sandbox = opening.sandbox(item.nodeid)
        opening.open(sandbox, options)
    with ExitStack() as stack:
        if options.has_virtual_sleeps:
            with fail_without_traceback():
                stack.enter_context(sandbox.virtual_time(options.exempt))
        yield sandbox
    if not options.has_virtual_sleeps:
        item.config.stash[reporting.WAITS].end_test(item.nodeid, sandbox.api_key)
    opening.finish(sandbox, options, item.nodeid)


@contextmanager
def fail_without_traceback() -> Iterator[None]:
    """Turn a UsageError into a failure of the test, without a traceback through the plugin."""
    try:
        yield
    except UsageError as problem:
        raise pytest.fail.Exception(f"viralsync: {problem}", pytrace=False) from None


def _is_patched(kind: type[socket.socket]) -> bool:
    return kind.__module__ != "socket" or isfunction(kind.connect)


def refuse_blocked_sockets(base_url: str | None = None) -> None:
    """Raise UsageError when pytest-socket forbids the sockets of the mock at an address, or of any mock."""
    if "pytest_socket" not in sys.modules or not _is_patched(socket.socket):
        return
    url = urlsplit(base_url or "http://127.0.0.1")
    host = url.hostname
    try:
        with warnings.catch_warnings(action="ignore"), socket.socket() as probe:
            if base_url:
                probe.connect((host, url.port))
    except RuntimeError as refusal:
        raise UsageError(
            f"pytest-socket blocks the sockets of the mock: {refusal} Allow this machine by "
            f"--allow-hosts={host}, also beside --disable-socket, or @pytest.mark.allow_hosts(['{host}'])."
        ) from None


class SandboxMaker:
    """Makes sandboxes of any scope: the value of the fixture `make_viralsync`."""

    def __init__(self, config: pytest.Config, server: Server, settings: Settings) -> None:
        self._config, self._opening = config, SandboxOpener(config, server, settings)
        self._names: Counter[str] = Counter()
        self._made = ExitStack()

    def __call__(self, name: str | None = None, **options: Unpack[FactoryOptions]) -> Sandbox:
        """Return a new sandbox; its key depends on its name and on how often the name was used before.

        Raises SettingsError for an unknown option or a wrong value.
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
        """End it through a new client: the test may have closed its own."""
        self._opening.finish(self._opening.sandbox(*purpose), options, name)

    def close(self) -> None:
        """Check and drop all, the last one first."""
        self._made.close()


def invalid_calls(sandbox: Sandbox) -> list[Mapping[str, Any]]:
    """Return the explanations of the calls that the spec does not know or rejects, oldest first.

    Responses of a scenario rule or a fault do not count.
    """
    candidates = (
        call
        for call in sandbox.journal.calls()
        if call.status in INVALID or (call.status in UNKNOWN and call.operation is None)
    )
    explained = [sandbox.journal.explanation(call) for call in candidates]
    return [each for each in explained if not _is_scripted(each)]


def _is_scripted(explanation: Mapping[str, Any]) -> bool:
    rule = explanation["rule"]
    return bool(explanation["faults"] or (rule and "respond" in rule["does"]))


def format_calls(broken: Sequence[Mapping[str, Any]]) -> str:
    """Return the failure text of a strict test."""
    head = f"viralsync, strict: the API does not take {len(broken)} of the calls that were made:"
    return "\n".join([head, *map(_line, broken)])


def _line(call: Mapping[str, Any]) -> str:
    target = f"{call['path']}?{call['query']}" if call["query"] else call["path"]
    return f"  {call['callId']} {call['method']} {target}\n    {call['summary']}"
