"""A sandbox as JSON, and back."""
