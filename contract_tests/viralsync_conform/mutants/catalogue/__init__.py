"""All hand-written mutants, one module a subject; those that need no code are in `mutants.yaml`.

Counter-mutants, which keep every documented fact, are in `permitted.yaml` and `readings`.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

from viralsync_conform.mutants.catalogue import (
    api_keys,
    cancel_delete,
    errors,
    job_fields,
    job_lifecycle,
    listing,
    quotas,
    rate_limit,
    readings,
    streams,
    submissions,
    webhooks,
)
from viralsync_conform.mutants.catalogue.declared import declared, permitted_names
from viralsync_conform.mutants.mutant import READING, Mutant

_SUBJECTS = (
    job_lifecycle,
    job_fields,
    submissions,
    listing,
    streams,
    api_keys,
    rate_limit,
    quotas,
    cancel_delete,
    webhooks,
    errors,
)

_PERMITTED = permitted_names()

BEHAVIOUR_MUTANTS: tuple[Mutant, ...] = tuple(
    replace(each, is_permitted=each.name in _PERMITTED)
    for each in chain(*(subject.MUTANTS for subject in _SUBJECTS), declared("mutants.yaml"))
)

HAND_WRITTEN_READINGS: tuple[Mutant, ...] = tuple(
    replace(each, source=READING, is_permitted=True) for each in (*readings.READINGS, *declared("permitted.yaml"))
)
