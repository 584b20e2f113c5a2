"""A server with one deliberate deviation: the mock behind a layer that sees each request and each answer.

The control API passes through untouched, so that tests drive the virtual clock of a mutant as usual.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

from viralsync_conform.mutants.catalogue import BEHAVIOUR_MUTANTS
from viralsync_conform.mutants.engine.asgi import Answer, BrokenOffError, Exchange, Receive, Request, Scope, Send, write
from viralsync_conform.mutants.engine.exchange import Layer, MutantCall, MutantState, the_mock
from viralsync_conform.mutants.engine.traffic import TRAFFIC, Traffic
from viralsync_conform.mutants.engine.webhook_attempts import MutatedSender
from viralsync_conform.mutants.mutant import Mutant
from viralsync_mock.app import CONTROL_PREFIX, App, create_app
from viralsync_mock.errors import SettingsError, did_you_mean
from viralsync_mock.openapi.spec import load_spec
from viralsync_mock.server import BackgroundServer
from viralsync_mock.settings import Settings, shipped
from viralsync_mock.webhooks.sender import HttpSender
from viralsync_mock.webhooks.sender import WebhookSender as SendWebhook

NO_MUTANT = "none"


class Mutated:
    """The application of a mutant; to its server it looks like the mock's."""

    def __init__(self, world: MutantState, layer: Layer | None, traffic: Traffic | None = None) -> None:
        self.mock, self._app = world.app.mock, world.app
        self._world, self._layer = world, layer or the_mock
        self._traffic = traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"].startswith(CONTROL_PREFIX):
            self._forget(scope)
            await self._app(scope, receive, send)
        else:
            await self._serve(scope, receive, send)

    def _forget(self, scope: Scope) -> None:
        if (scope["method"], scope["path"]) in {("PUT", "/__mock/sandbox"), ("POST", "/__mock/reset")}:
            self._world.of_key.pop(Request(scope).key, None)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _whole_body(receive, 2 * self._world.spec.body_limit)
        gone, opened = asyncio.Event(), list[Exchange]()
        watcher = asyncio.ensure_future(_watch(receive, gone, opened))
        request = self._world.named(scope, body)
        try:
            if self._traffic is None:
                answer = await self._layer(MutantCall(request, self._world, gone, opened, the_mock))
                self._take_note(request, answer)
                await write(answer, request, send, gone)
            else:
                with self._traffic.watched(request) as watch:
                    call = MutantCall(request, self._world, gone, opened, watch.below)
                    answer = watch.sent(await self._layer(call))
                    self._take_note(request, answer)
                    await write(answer, request, send, gone)
        except BrokenOffError:
            pass
        finally:
            watcher.cancel()
            _leave(opened)

    def _take_note(self, request: Request, answer: Answer) -> None:
        if request.operation == "submitRenderJob" and isinstance(answer.document, dict):
            self._world.owners.setdefault(str(answer.document.get("jobId")), request.key)


async def _whole_body(receive: Receive, enough: int) -> bytes:
    """Read a body, or enough of one that is too long."""
    body = b""
    while len(body) <= enough:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    return body


async def _watch(receive: Receive, gone: asyncio.Event, opened: list[Exchange]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    gone.set()
    _leave(opened)


def _leave(opened: list[Exchange]) -> None:
    for exchange in opened:
        exchange.leave()


def wrong_app(settings: Settings) -> App:
    """Return the application of the mutant that the settings name, for the tests of a team: see `challenge`.

    `none` is no mutant. Where `VIRALSYNC_CHALLENGE_DIR` names a folder, it is written there what was deviated from.
    """
    name = settings.mutant or NO_MUTANT
    known = {mutant.name: mutant for mutant in BEHAVIOUR_MUTANTS}
    if name not in {*known, NO_MUTANT}:
        raise SettingsError(f"VIRALSYNC_MOCK_MUTANT: there is no mutant {name!r}.{did_you_mean(name, known)}")
    mutant, folder = known.get(name), os.environ.get("VIRALSYNC_CHALLENGE_DIR")
    traffic = Traffic(Path(folder) / TRAFFIC) if folder else None
    with TemporaryDirectory() as files:
        app = create_app(mutated_settings(mutant, replace(settings, mutant=None), Path(files)))
    return mutated(app, mutant, traffic) if mutant or traffic else app


def mutated(app: App, mutant: Mutant | None, traffic: Traffic | None = None) -> App:
    """Return what a server serves in the application's place."""
    if mutant is None and traffic is None:
        return app
    world = MutantState.around(app)
    sender: SendWebhook = app.mock.sender or HttpSender(app.mock.settings.webhook_hosts)
    sending = mutant.sending if mutant else None
    if traffic is not None:
        sending = traffic.watched_sending(sending)
    if sending is not None:
        sender = MutatedSender(sender, sending, world)
    app.mock.sender = world.quiet.mock.sender = sender
    return cast(App, Mutated(world, mutant.layer if mutant else None, traffic))


def mutated_settings(mutant: Mutant | None, settings: Settings, folder: Path) -> Settings:
    """Return settings that name the spec and the profile of a mutant that has its own, written into the folder."""
    if mutant is not None and mutant.edit_spec is not None:
        document = deepcopy(load_spec(shipped("openapi.yaml")).document)
        mutant.edit_spec(document)
        settings = replace(settings, spec=folder / "openapi.json")
        settings.spec.write_text(json.dumps(document))
    if mutant is not None and mutant.behaviour is not None:
        settings = replace(settings, behaviour=folder / "behaviour.json")
        (folder / "behaviour.json").write_text(json.dumps(mutant.behaviour))
    return settings


@contextmanager
def serving(
    mutant: Mutant | None, *, seed: str = "0", behaviour: Path | None = None, is_rate_limited: bool = True
) -> Iterator[str]:
    """Serve a mutant, or the mock as it is, on a free port, and yield its base URL."""
    settings = Settings(seed=seed, behaviour=behaviour, is_rate_limited=is_rate_limited)
    with ExitStack() as ending:
        folder = Path(ending.enter_context(TemporaryDirectory()))
        app = create_app(mutated_settings(mutant, settings, folder))
        server = ending.enter_context(BackgroundServer(mutated(app, mutant)))
        yield server.base_url
