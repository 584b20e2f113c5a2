"""Servers that are the mock with exactly one deliberate deviation: they measure what the contract tests notice."""

from viralsync_conform.mutants.catalogue import BEHAVIOUR_MUTANTS
from viralsync_conform.mutants.engine.server import serving
from viralsync_conform.mutants.mutant import BEHAVIOUR, INDEPENDENT, KIT, MECHANICAL, Mutant

__all__ = ["BEHAVIOUR", "BEHAVIOUR_MUTANTS", "INDEPENDENT", "KIT", "MECHANICAL", "Mutant", "serving"]
