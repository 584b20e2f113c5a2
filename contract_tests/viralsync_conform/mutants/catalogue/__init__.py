"""All hand-written mutants, one module a subject; those that need no code are in `mutants.yaml`."""

from __future__ import annotations

from itertools import chain

from viralsync_conform.mutants.catalogue import (
    api_keys,
    cancel_delete,
    errors,
    job_fields,
    job_lifecycle,
    listing,
    pagination,
    plan_limits,
    quotas,
    rate_limit,
    stream_events,
    streams,
    submissions,
    validation,
    webhooks,
)
from viralsync_conform.mutants.catalogue.declared import declared
from viralsync_conform.mutants.mutant import Mutant

_SUBJECTS = (
    job_lifecycle,
    job_fields,
    submissions,
    validation,
    pagination,
    listing,
    streams,
    stream_events,
    api_keys,
    rate_limit,
    quotas,
    plan_limits,
    cancel_delete,
    webhooks,
    errors,
)

BEHAVIOUR_MUTANTS: tuple[Mutant, ...] = (*chain.from_iterable(each.MUTANTS for each in _SUBJECTS), *declared())
