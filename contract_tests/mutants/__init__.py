"""Servers that are the mock with exactly one deliberate deviation: they measure what the contract tests notice."""

from contract_tests.mutants.behaviour import BEHAVIOUR_MUTANTS
from contract_tests.mutants.mutant import BEHAVIOUR, MECHANICAL, Mutant
from contract_tests.mutants.server import serving

__all__ = ["BEHAVIOUR", "BEHAVIOUR_MUTANTS", "MECHANICAL", "Mutant", "serving"]
