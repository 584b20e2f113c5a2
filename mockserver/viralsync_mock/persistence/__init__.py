"""Sandboxes that survive the process: `serve --state`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from viralsync_mock.errors import SettingsError
from viralsync_mock.persistence.keeper import Keeper
from viralsync_mock.snapshots.snapshot import digest

if TYPE_CHECKING:
    from viralsync_mock.openapi.spec import Spec
    from viralsync_mock.persistence.backend import Backend
    from viralsync_mock.state import MockServer


def keep_state(mock: MockServer, place: str) -> None:
    """Keep the sandboxes of a server in a folder or in Redis; raises SettingsError where that is impossible."""
    mock.sandboxes.keeper = Keeper(mock, _open(mock, place))


def _address(mock: MockServer) -> str:
    """Return where a proxy reaches this replica."""
    listener = mock.listener
    return mock.settings.replica_address or (f"{listener.host}:{listener.port}" if listener else "")


def written_with(spec: Spec) -> str:
    """Return the name of a spec, by which a store is known to fit."""
    return f"{spec.title} {spec.version} ({digest(spec)[:12]})"


def _open(mock: MockServer, place: str) -> Backend:
    url = urlsplit(place)
    if url.scheme in ("redis", "rediss"):
        from viralsync_mock.persistence.redis import RedisBackend

        settings = mock.settings
        return RedisBackend(
            url, written_with(mock.files.spec), settings.lease, partial(_address, mock), settings.real.monotonic
        )
    if "://" in place:
        raise SettingsError(f"--state: expected a folder or redis://HOST:PORT/DB, got {place}")
    from viralsync_mock.persistence.sqlite import SqliteBackend

    return SqliteBackend(Path(place), written_with(mock.files.spec))
