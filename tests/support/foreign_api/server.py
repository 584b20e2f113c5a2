"""A server in a thread of its own, for as long as a `with` block lasts."""

from __future__ import annotations

import asyncio
import threading
from types import TracebackType

from aiohttp import web

from . import clock
from .app import make_app, neighbours_of
from .model import Account
from .settings import Settings
from .world import World


class RunningServer:
    """A server inside the running event loop; `base_url` is set once it listens on 127.0.0.1."""

    def __init__(self, settings: Settings, port: int = 0) -> None:
        self.settings = settings
        self.port = port
        self.base_url = ""

    async def __aenter__(self) -> RunningServer:
        self._world = World(self.settings)
        self._runner = web.AppRunner(make_app(self._world), shutdown_timeout=0.05, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.base_url = f"http://{host}:{port}"
        for account in neighbours_of(self._world):
            self._world.spawn(_neighbour(self._world, account))
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = list(self._world.background)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._runner.cleanup()


async def _neighbour(world: World, account: Account) -> None:
    while True:
        world.window(account.key).take(clock.monotonic())
        await clock.pause(60 / account.start.neighbour)


class ForeignServer:
    """The same in a thread: `with ForeignServer(Settings(variant="C")) as server: ... server.base_url`."""

    def __init__(self, settings: Settings | None = None, port: int = 0) -> None:
        self.settings = settings or Settings()
        self.base_url = ""
        self._port = port
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="foreign-server", daemon=True)

    def __enter__(self) -> ForeignServer:
        self._thread.start()
        self._started.wait()
        if self._failure:
            raise self._failure
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as failure:  # told to the thread that waits for the start
            self._failure = failure
            self._started.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        async with RunningServer(self.settings, self._port) as server:
            self.base_url = server.base_url
            self._started.set()
            await self._stop.wait()
