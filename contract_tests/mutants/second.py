"""A second set of hand-written mutants, written without a look at the checks: it measures what the first set cannot."""

from __future__ import annotations

from contract_tests.mutants.mutant import Mutant
from contract_tests.mutants.second_endings import SECOND_ENDINGS
from contract_tests.mutants.second_errors import SECOND_ERRORS
from contract_tests.mutants.second_jobs import SECOND_JOBS
from contract_tests.mutants.second_limits import SECOND_LIMITS
from contract_tests.mutants.second_lists import SECOND_LISTS
from contract_tests.mutants.second_payloads import SECOND_PAYLOADS
from contract_tests.mutants.second_streams import SECOND_STREAMS
from contract_tests.mutants.second_submissions import SECOND_SUBMISSIONS
from contract_tests.mutants.second_webhooks import SECOND_WEBHOOKS

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
