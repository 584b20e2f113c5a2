"""Everything a server is started with, as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .accounts import ACCOUNTS, Start
from .readings import VARIANTS, Readings


@dataclass(frozen=True)
class Settings:
    """How a server behaves and how fast.

    A render of one round takes about six seconds times `render_scale`: 0.05 gives 0.3 s, 5 gives 30 s.
    `latency` are the fewest and the most seconds added to every answer. `rate_limit` is requests and seconds.
    `readings` takes the place of those of the `variant`. `webhook_retry_wait` is the wait before the second attempt
    of a delivery, doubled before each further one. `outages` are seconds after the start, and lengths in seconds, in
    which a gateway answers 502 for the server.
    """

    variant: str = "A"
    breaches: frozenset[str] = frozenset()
    render_scale: float = 1.0
    latency: tuple[float, float] = (0.0, 0.0)
    seed: int = 1
    rate_limit: tuple[int, float] = (120, 60.0)
    start: Mapping[str, Start] = field(default_factory=lambda: ACCOUNTS)
    readings: Readings | None = None
    webhook_secret: str = "viralsync-webhook-secret"
    webhook_retry_wait: float = 1.0
    outages: tuple[tuple[float, float], ...] = ()

    @property
    def chosen(self) -> Readings:
        """The readings in force."""
        return self.readings or VARIANTS[self.variant]
