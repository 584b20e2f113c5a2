"""What the control API does with a whole sandbox: write it down, and open one as it was written down."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from viralsync_mock.jobs.models import timestamp
from viralsync_mock.response import Response, json_response
from viralsync_mock.snapshots.snapshot import create_snapshot, install, restore
from viralsync_mock.validation.schema import invalid

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from viralsync_mock.api.call import Call

MAX_BYTES = 256 * 1024 * 1024
"""Bytes of a snapshot that is restored."""


async def take_snapshot(call: Call) -> Response:
    """GET /__mock/snapshot: the sandbox as it is at this instant."""
    return Response(200, create_snapshot(call.mock, call.sandbox, with_journal=call.parameters["journal"]))


async def restore_snapshot(call: Call) -> Response:
    """PUT /__mock/snapshot: this sandbox takes the place of the one that the key has, or nothing changes."""
    if not call.body:
        invalid("$", "expected a snapshot, got nothing")
    restored = restore(call.mock, call.sandbox.key, call.body)
    install(call.mock, restored)
    call.sandbox = restored.sandbox
    call.invalidate_now()
    waiting = sum(len(each.pending) + len(each.held) for each in restored.outboxes)
    return json_response(
        {
            "jobs": restored.jobs,
            "now": timestamp(call.now),
            "scenario": call.mock.scenario_of(call.sandbox).name,
            "webhooksWaiting": waiting,
        }
    )


SNAPSHOT_ACTIONS: Mapping[str, Callable[[Call], Awaitable[Response]]] = MappingProxyType(
    {"takeSnapshot": take_snapshot, "restoreSnapshot": restore_snapshot}
)
"""By operationId."""
