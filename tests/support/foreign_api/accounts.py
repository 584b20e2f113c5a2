"""The accounts a server starts with, in every condition a client may meet, each under a key that never changes."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal


@dataclass(frozen=True)
class Start:
    """How an account looks when the server starts.

    `used` and `used_today` are render minutes. `jobs`: `none`; `few` (six ended jobs); `archive` (300 older jobs of
    every type and status); `full` (as many renders as the plan allows at once, all of which take an hour).
    `neighbour` is how many requests a minute somebody else makes with the same key.
    """

    key: str
    plan: str
    used: float = 0.0
    used_today: float = 0.0
    jobs: Literal["none", "few", "archive", "full"] = "none"
    revoked: bool = False
    neighbour: float = 0.0


def _key(name: str) -> str:
    return "vs_prod_" + name.replace("_", "").ljust(32, "0")


ACCOUNTS: Final = MappingProxyType(
    {
        "pro": Start(_key("pro"), "pro", jobs="few"),  # the ordinary account
        "pro_empty": Start(_key("pro_empty"), "pro"),
        "pro_archive": Start(_key("pro_archive"), "pro", used=12.5, jobs="archive"),
        "pro_nearly_spent": Start(_key("pro_nearly_spent"), "pro", used=199.95),
        "pro_spent": Start(_key("pro_spent"), "pro", used=200.0),
        "pro_full": Start(_key("pro_full"), "pro", jobs="full"),
        "pro_busy": Start(_key("pro_busy"), "pro", jobs="few", neighbour=60.0),
        "pro_revoked": Start(_key("pro_revoked"), "pro", revoked=True),
        "free": Start(_key("free"), "free"),
        "free_spent_today": Start(_key("free_spent_today"), "free", used=5.0, used_today=5.0),
        "business": Start(_key("business"), "business"),
        "business_full": Start(_key("business_full"), "business", jobs="full"),
        "enterprise": Start(_key("enterprise"), "enterprise"),
        "enterprise_archive": Start(_key("enterprise_archive"), "enterprise", jobs="archive"),
    }
)

PROJECTS: Final = frozenset({"proj_demo01", "proj_abc123"})
"""The projects every account has; others are 404 `PROJECT_NOT_FOUND` where `project_ids` is `known`."""
