"""The nightly job: its canary and its tracking issue."""
