"""Mutants derived mechanically from the spec."""
