"""What the control API does with a whole sandbox: write it down, and open one as it was written down."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from viralsync_mock.jobs.models import timestamp
from viralsync_mock.response import Answer, json_answer
from viralsync_mock.snapshots.snapshot import open_again, restore, take
from viralsync_mock.validation.schema import invalid

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from viralsync_mock.api.call import Call

LARGEST = 256 * 1024 * 1024
"""Bytes of a snapshot that is restored."""


async def take_snapshot(call: Call) -> Answer:
    """GET /__mock/snapshot: the sandbox as it is at this instant."""
    return Answer(200, take(call.mock, call.sandbox, with_journal=call.parameters["journal"]))


async def restore_snapshot(call: Call) -> Answer:
    """PUT /__mock/snapshot: this sandbox takes the place of the one that the key has, or nothing changes."""
    if not call.body:
        invalid("$", "expected a snapshot, got nothing")
    restored = restore(call.mock, call.sandbox.key, call.body)
    open_again(call.mock, restored)
    call.sandbox = restored.sandbox
    call.later()
    waiting = sum(len(each.waiting) + len(each.held) for each in restored.outboxes)
    return json_answer(
        {
            "jobs": restored.jobs,
            "now": timestamp(call.now),
            "scenario": call.mock.home(call.sandbox).name,
            "webhooksWaiting": waiting,
        }
    )


SNAPSHOT_ACTIONS: Mapping[str, Callable[[Call], Awaitable[Answer]]] = MappingProxyType(
    {"takeSnapshot": take_snapshot, "restoreSnapshot": restore_snapshot}
)
"""By operationId."""
