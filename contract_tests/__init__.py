"""The contract tests of the ViralSync API: the same checks against the mock and against production."""
