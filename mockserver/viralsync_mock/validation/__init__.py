"""Requests held against the spec."""
