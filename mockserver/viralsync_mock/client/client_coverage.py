"""The client's view of the coverage of the API's states."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from viralsync_mock.client.connection import ControlConnection


class Coverage(NamedTuple):
    """Which facts were met and which not, as in `operation getJob 200`, and how much that is: 0 to 100."""

    met: tuple[str, ...]
    unmet: tuple[str, ...]
    percent: float


class CoverageMixin:
    """Asks a sandbox what its client has met of the API."""

    _door: ControlConnection

    def coverage(self, *, anonymous: bool = False) -> Coverage:
        """Return what was met since the sandbox was opened; with `anonymous` also by calls without a usable key."""
        answer = self._door.request("GET", "/coverage", anonymous=str(anonymous).lower())
        return Coverage(tuple(answer["met"]), tuple(answer["unmet"]), answer["percent"])
