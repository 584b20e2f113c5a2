"""All mutants that were written by hand, by theme."""

from __future__ import annotations

from contract_tests.mutants.ceilings import CEILINGS
from contract_tests.mutants.endings import ENDINGS
from contract_tests.mutants.errors import ERRORS
from contract_tests.mutants.job_fields import FIELDS
from contract_tests.mutants.keys import KEYS
from contract_tests.mutants.life import LIFE
from contract_tests.mutants.lists import LISTS
from contract_tests.mutants.mutant import Mutant
from contract_tests.mutants.pages import PAGES
from contract_tests.mutants.quotas import CHARGES
from contract_tests.mutants.rates import RATES
from contract_tests.mutants.stream_events import EVENTS
from contract_tests.mutants.streams import STREAMS
from contract_tests.mutants.submissions import SUBMISSIONS
from contract_tests.mutants.validation import VALIDATION
from contract_tests.mutants.webhooks import WEBHOOKS

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
