"""A sandbox without pytest: for unittest, Django's runner, scripts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import wraps
from inspect import iscoroutinefunction
from itertools import count
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast
from unittest import TestCase
from unittest.mock import patch

from viralsync_mock.app import create_app
from viralsync_mock.client import Sandbox, environment
from viralsync_mock.clock import Mode
from viralsync_mock.errors import UsageError
from viralsync_mock.randomness import hexadecimal
from viralsync_mock.server import BackgroundServer
from viralsync_mock.settings import Settings

if TYPE_CHECKING:
    from viralsync_mock.client import Clock, Plan

T = TypeVar("T")

_lock, _numbers = Lock(), count(1)
_servers: dict[int, BackgroundServer] = {}
"""The mock of this process, by process id: a fork has no threads of its parent."""


def _server() -> BackgroundServer:
    with _lock:
        if os.getpid() not in _servers:
            _servers[os.getpid()] = BackgroundServer(create_app(Settings(clock=Mode.AUTO))).start()
        return _servers[os.getpid()]


class open_sandbox:  # noqa: N801 - used like a function
    """Open a fresh sandbox on a mock in this process: `with open_sandbox(scenario="scene-fails") as sandbox:`.

    The mock is started once per process. While the sandbox is open, VIRALSYNC_BASE_URL and VIRALSYNC_API_KEY lead to
    it, and no proxy stands before it. `sleeps="virtual"` lets the process sleep on the sandbox's clock, but for the
    modules and packages in `exempt`. Raises UsageError for what the mock refuses.

    As a decorator of a function, asynchronous or not, it passes the sandbox as the last positional argument; of a
    `unittest.TestCase` it gives each test `self.sandbox`.
    """

    def __init__(
        self,
        *,
        sleeps: Literal["real", "virtual"] = "real",
        exempt: Iterable[str] = (),
        scenario: str | Mapping[str, Any] | None = None,
        plan: Plan | None = None,
        clock: Clock | None = None,
        seed: str | int | None = None,
        behaviour: Mapping[str, Any] | None = None,
    ) -> None:
        if sleeps not in ("real", "virtual"):
            raise UsageError(f"sleeps: expected real or virtual, got {sleeps!r}")
        self._sleeps, self._exempt = sleeps, tuple(exempt)
        clock = clock or ("jump" if sleeps == "virtual" else None)
        self._options: dict[str, Any] = {
            "scenario": scenario, "plan": plan, "clock": clock, "seed": seed, "behaviour": behaviour
        }  # fmt: skip
        self._open: list[ExitStack] = []

    @contextmanager
    def _sandbox(self) -> Iterator[Sandbox]:
        server, key = _server(), f"vs_prod_{hexadecimal('standalone', os.getpid(), next(_numbers), length=32)}"
        with ExitStack() as stack:
            sandbox = stack.enter_context(Sandbox(server.base_url, key))
            sandbox.local_clock = server.clock(key)
            sandbox.open(**self._options)
            stack.callback(sandbox.reset)
            stack.enter_context(patch.dict(os.environ, environment(sandbox)))
            if self._sleeps == "virtual":
                stack.enter_context(sandbox.virtual_time(self._exempt))
            yield sandbox

    def __enter__(self) -> Sandbox:
        with ExitStack() as stack:
            sandbox = stack.enter_context(self._sandbox())
            self._open.append(stack.pop_all())
        return sandbox

    def __exit__(self, *problem: Any) -> None:
        self._open.pop().__exit__(*problem)

    def __call__(self, target: Callable[..., T]) -> Callable[..., T]:
        """Decorate a function or a TestCase."""
        if isinstance(target, type):
            return cast("Callable[..., T]", self._decorate_class(target))
        decorate: Any = self._decorate_coroutine if iscoroutinefunction(target) else self._decorate_function
        return cast("Callable[..., T]", wraps(target)(decorate(target)))

    def _decorate_function(self, target: Callable[..., Any]) -> Callable[..., Any]:
        def decorated(*arguments: Any, **named: Any) -> Any:
            with self._sandbox() as sandbox:
                return target(*arguments, sandbox, **named)

        return decorated

    def _decorate_coroutine(self, target: Callable[..., Any]) -> Callable[..., Any]:
        async def decorated(*arguments: Any, **named: Any) -> Any:
            with self._sandbox() as sandbox:
                return await target(*arguments, sandbox, **named)

        return decorated

    def _decorate_class(self, case: Any) -> Any:
        if not issubclass(case, TestCase):
            raise UsageError(f"open_sandbox decorates functions and unittest.TestCase, got the class {case.__name__}")
        original = case.setUp

        def set_up(test: Any) -> None:
            test.sandbox = test.enterContext(self._sandbox())
            original(test)

        case.setUp = set_up
        return case
