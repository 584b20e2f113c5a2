"""Scenario files: the model, the loader, rules, fault syntax, armed faults."""
