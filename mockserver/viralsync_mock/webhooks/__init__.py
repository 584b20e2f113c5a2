"""Webhooks: payloads, signatures, deliveries, sending."""
