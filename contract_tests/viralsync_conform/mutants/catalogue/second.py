"""A second set of hand-written mutants, written without a look at the checks: it measures what the first set cannot."""

from __future__ import annotations

from viralsync_conform.mutants.catalogue.second_endings import SECOND_ENDINGS
from viralsync_conform.mutants.catalogue.second_errors import SECOND_ERRORS
from viralsync_conform.mutants.catalogue.second_jobs import SECOND_JOBS
from viralsync_conform.mutants.catalogue.second_limits import SECOND_LIMITS
from viralsync_conform.mutants.catalogue.second_lists import SECOND_LISTS
from viralsync_conform.mutants.catalogue.second_payloads import SECOND_PAYLOADS
from viralsync_conform.mutants.catalogue.second_streams import SECOND_STREAMS
from viralsync_conform.mutants.catalogue.second_submissions import SECOND_SUBMISSIONS
from viralsync_conform.mutants.catalogue.second_webhooks import SECOND_WEBHOOKS
from viralsync_conform.mutants.mutant import Mutant

SECOND_MUTANTS: tuple[Mutant, ...] = (
    *SECOND_JOBS,
    *SECOND_PAYLOADS,
    *SECOND_ENDINGS,
    *SECOND_LISTS,
    *SECOND_STREAMS,
    *SECOND_SUBMISSIONS,
    *SECOND_ERRORS,
    *SECOND_LIMITS,
    *SECOND_WEBHOOKS,
)
