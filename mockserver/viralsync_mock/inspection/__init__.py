"""Calls made readable: explanations, the nearest valid body, HAR, curl."""
