"""Faults of views: what a client reads does not agree with what it was told elsewhere, as behind a slow replica."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mockserver.answers import Answer
    from mockserver.faults import Proceed, World


@dataclass(frozen=True, slots=True)
class StaleRead:
    """GET and list show jobs as they were so many seconds of the sandbox's clock ago: streams are ahead of them."""

    seconds: float

    async def apply(self, world: World, proceed: Proceed, /) -> Answer:
        """Let the views of this call lag."""
        world.lag = timedelta(seconds=self.seconds)
        return await proceed()


@dataclass(frozen=True, slots=True)
class MissingFromList:
    """The list leaves out jobs that were submitted less than so many seconds of the sandbox's clock ago."""

    seconds: float

    async def apply(self, world: World, proceed: Proceed, /) -> Answer:
        """Hide new jobs from this call's list."""
        world.hidden_for = timedelta(seconds=self.seconds)
        return await proceed()
