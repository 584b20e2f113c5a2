"""Deliberate misbehaviour: each fault is one small frozen type."""
