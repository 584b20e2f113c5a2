"""What a store of sandboxes can do; a folder and Redis are the two that there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Change(NamedTuple):
    """The parts of one sandbox to write, None for one that is gone; `replaces` all that is stored of it."""

    id: str
    fields: Mapping[str, bytes | None]
    replaces: bool = False


class Backend(Protocol):
    """Stores the parts of sandboxes by their ids. It is used in one thread; its methods raise StateError."""

    heartbeat: float | None
    """Real seconds from one `renew` to the next; None if it needs none."""

    def claim(self, sandbox_id: str) -> dict[str, bytes]:
        """Return the parts, empty for none, and own the sandbox from now on; raises StateError if another does."""
        ...

    def write(self, changes: Sequence[Change]) -> set[str]:
        """Write all of it; return the ids that belong to another server by now, of which nothing is written."""
        ...

    def renew(self) -> bool:
        """Stay the owner of what was claimed; False if another may own it by now."""
        ...

    def holds(self) -> bool:
        """Say at once, from any thread, whether what was claimed is still owned."""
        ...

    def with_webhooks(self) -> list[str]:
        """Return the ids of sandboxes that have webhooks to send and that no live server owns."""
        ...

    def erase_all(self) -> None:
        """Forget every sandbox."""
        ...

    def close(self) -> None:
        """Give up what was claimed."""
        ...
