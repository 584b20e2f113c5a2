"""The record of calls, and what of the API they have covered."""
