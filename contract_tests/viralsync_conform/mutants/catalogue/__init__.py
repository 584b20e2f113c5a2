"""All mutants that were written by hand, by theme."""

from __future__ import annotations

from viralsync_conform.mutants.catalogue.api_keys import KEYS
from viralsync_conform.mutants.catalogue.cancel_delete import ENDINGS
from viralsync_conform.mutants.catalogue.errors import ERRORS
from viralsync_conform.mutants.catalogue.job_fields import FIELDS
from viralsync_conform.mutants.catalogue.job_lifecycle import LIFE
from viralsync_conform.mutants.catalogue.listing import LISTS
from viralsync_conform.mutants.catalogue.pagination import PAGES
from viralsync_conform.mutants.catalogue.plan_limits import CEILINGS
from viralsync_conform.mutants.catalogue.quotas import CHARGES
from viralsync_conform.mutants.catalogue.rate_limit import RATES
from viralsync_conform.mutants.catalogue.stream_events import EVENTS
from viralsync_conform.mutants.catalogue.streams import STREAMS
from viralsync_conform.mutants.catalogue.submissions import SUBMISSIONS
from viralsync_conform.mutants.catalogue.validation import VALIDATION
from viralsync_conform.mutants.catalogue.webhooks import WEBHOOKS
from viralsync_conform.mutants.mutant import Mutant

BEHAVIOUR_MUTANTS: tuple[Mutant, ...] = (
    *LIFE,
    *FIELDS,
    *SUBMISSIONS,
    *VALIDATION,
    *PAGES,
    *LISTS,
    *STREAMS,
    *EVENTS,
    *KEYS,
    *RATES,
    *CHARGES,
    *CEILINGS,
    *ENDINGS,
    *WEBHOOKS,
    *ERRORS,
)
