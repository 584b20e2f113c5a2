"""Every regression that can be switched on, by name."""

from __future__ import annotations

from typing import Final

from . import (
    breaches_access,
    breaches_deliveries,
    breaches_documents,
    breaches_endings,
    breaches_errors,
    breaches_limits,
    breaches_paging,
    breaches_requests,
)
from .conduct import Breach

CATALOGUE: Final[dict[str, Breach]] = {
    breach.name: breach
    for module in (
        *(breaches_access, breaches_errors, breaches_requests, breaches_documents),
        *(breaches_paging, breaches_endings, breaches_limits, breaches_deliveries),
    )
    for breach in module.BREACHES
}
